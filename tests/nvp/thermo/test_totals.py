"""What a prediction does to ΣE, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.thermo.totals import first_law_closure, total_error


def fields(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)[:, None, :, None]


def test_closure_counts_what_the_model_was_told_and_what_it_says_has_left() -> None:
    before, predicted = fields([1, 3], [2, 2]), fields([2, 4], [1, 1])
    np.testing.assert_allclose(first_law_closure(predicted, before), [0.5, 0.5])
    kept = first_law_closure(predicted, before, source=np.array([2.0, 1.0]), outflow=np.array([0.0, 3.0]))
    np.testing.assert_allclose(kept, 0)


def test_an_account_that_closes_can_be_wrong() -> None:
    before, predicted, truth = fields([2, 2]), fields([2, 1]), fields([2, 2])
    assert first_law_closure(predicted, before, outflow=np.array([1.0]))[0] == 0
    assert total_error(predicted, truth)[0] == pytest.approx(0.25)
    assert np.isnan(total_error(predicted, fields([0, 0]))[0])
