"""A repair that fits helps, one that does not harms, and what it brings is measured apart from what it promises."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.coordinator.dips import draw_repairs, with_dip
from nvp.coordinator.measures import sequence_order


def test_a_dip_costs_the_pairs_that_it_passes() -> None:
    values = with_dip(11, 6, 0.35)  # 0.6 − 0.35 = 0.25 lies below 0.3, 0.4 and 0.5
    assert sequence_order(values) == pytest.approx(1 - 3 / 55)


def test_repairs_without_noise_are_as_good_as_they_promise() -> None:
    repairs = draw_repairs(0, 40, length=24, depth=0.5, noise=0.0)
    assert {each.apt for each in repairs} == {True, False}
    for each in repairs:
        assert each.promised == each.realised
        assert each.realised >= 0 if each.apt else each.realised <= 0
        if each.apt and each.before < 1:
            # nothing but the dip was out of order
            assert each.promised_share == pytest.approx(1)


def test_both_looks_have_noise_of_their_own() -> None:
    repairs = draw_repairs(0, 20, length=24, depth=0.5, noise=0.02)
    assert np.mean([each.before != each.true_before for each in repairs]) > 0.5
