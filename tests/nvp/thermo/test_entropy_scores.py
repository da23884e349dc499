"""Entropy scores by hand, and what persistence makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.thermo.entropy_scores import entropy_change_error, entropy_error, entropy_of


def fields(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)[:, None, :, None]


def test_by_hand() -> None:
    entropies = entropy_of(fields([1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [1, 1, -1, 0]))
    np.testing.assert_allclose(entropies, [np.log(4), np.log(2), 0, np.log(2)], atol=1e-12)
    np.testing.assert_allclose(entropy_error(entropies[:1], entropies[1:2]), 1.0)
    assert np.isnan(entropy_error(entropies[:1], entropies[2:3])[0])


def test_persistence_agrees_but_is_wrong_about_the_whole_change() -> None:
    origin, truth = np.array([8.0, 8.0]), np.array([8.001, 8.003])
    assert (1 - entropy_error(origin, truth)).min() > 0.999
    assert entropy_change_error(origin, truth, origin) == pytest.approx(1)
    assert entropy_change_error(truth, truth, origin) == 0
    assert entropy_change_error(origin + 0.002, truth, origin) == pytest.approx(0.5)
    assert np.isnan(entropy_change_error(origin, origin, origin))
    assert np.isnan(entropy_change_error(truth, origin + 1e-9, origin))
