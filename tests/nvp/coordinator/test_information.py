"""Alignment, drift, redundancy and violations, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nvp.coordinator.information import alignment, drift, redundancy, violation_rate
from nvp.errors import FieldError

STATES = arrays(np.float64, (3, 4), elements=st.floats(0, 1))


def test_by_hand() -> None:
    start = np.array([1.0, 0.0])
    states = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.0, 0.0]])
    assert alignment(states, start) == pytest.approx([1, 0, np.sqrt(0.5), 0])
    assert drift(states, start) == pytest.approx([0, np.sqrt(2), np.sqrt(0.5), 1])
    assert redundancy(np.array([0.2, 0.2]), np.array([0.5, 0.0])) == pytest.approx([0.4, 2e7])
    assert (violation_rate(1, 4), violation_rate(0, 0)) == (0.25, 0)
    with pytest.raises(FieldError, match="uncertainties >= 0"):
        redundancy(np.array([0.2]), np.array([-0.1]))
    with pytest.raises(FieldError, match="0 to 3 violations"):
        violation_rate(4, 3)


@settings(deadline=None, max_examples=50)
@given(STATES, st.floats(0.5, 2))
def test_where_a_state_points_is_not_how_long_it_is(states: np.ndarray, factor: float) -> None:
    reference = states[0] + 0.1
    assert alignment(factor * states, reference) == pytest.approx(alignment(states, reference), abs=1e-9)
    away = drift(states, reference)
    assert (drift(states[::-1], reference) == away[::-1]).all()
    assert (away <= drift(states, states[1]) + away[1] + 1e-12).all()
