"""The loss of pairs: each counts the same, however much it changes."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from nvp.training import loss
from nvp.training.config import LossConfig

ORIGIN = np.zeros((2, 4, 4, 1), np.float32)
TRUTH = np.ones((2, 4, 4, 1), np.float32) * np.array([1.0, 1e-2], np.float32)[:, None, None, None]


def pair_error(said: np.ndarray, truth: np.ndarray, origin: np.ndarray) -> float:
    return float(loss.pair_error(*(jnp.asarray(field) for field in (said, truth, origin))))


def test_a_small_change_that_is_missed_counts_as_much_as_a_large_one() -> None:
    for missed in range(2):
        said = TRUTH.copy()
        said[missed] = 0.0
        assert pair_error(said, TRUTH, ORIGIN) == pytest.approx(0.5, rel=0.01)
    assert pair_error(TRUTH / 2, TRUTH, ORIGIN) == pytest.approx(0.5, rel=0.01)


def test_a_pair_that_stands_still_has_a_finite_error() -> None:
    truth = TRUTH.copy()
    truth[1] = 0.0
    assert np.isfinite(pair_error(truth + np.float32(1e-3), truth, ORIGIN))
    assert pair_error(truth, truth, ORIGIN) == pytest.approx(1e-5, rel=0.1)


def test_it_is_a_term_of_the_loss() -> None:
    assert LossConfig(fidelity=0.0, pairs=1.0).weights == {"pairs": 1.0, "variance": 0.02}
