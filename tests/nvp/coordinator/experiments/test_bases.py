"""A basis changes no path and no least-squares fit; it changes how fast descent finds the coefficients."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.coordinator.experiments.bases import BASES, bases_of, run
from nvp.coordinator.experiments.config import BasesConfig
from nvp.coordinator.experiments.finding import Finding


def estimates(found: Finding, arm: str) -> dict[str, float]:
    return {each.name: each.estimate for each in found.arms[arm]}


def test_what_a_basis_changes_and_what_not() -> None:
    found = run(BasesConfig(trials=8), lambda *_: None)
    assert (found.verdict, found.passed) == ("null", True)
    arms = {name: estimates(found, name) for name in BASES}
    by_squares = [arm["shifted error, least squares"] for arm in arms.values()]
    assert by_squares == pytest.approx([by_squares[0]] * 3, rel=1e-6)
    conditions = [arms[name]["condition of the Gram matrix, degree 8"] for name in BASES]
    assert conditions[0] > 1e5 > 100 > conditions[1] > 10 > conditions[2]
    assert conditions[2] == pytest.approx(1, abs=1e-6)
    # descent in an orthonormal basis has all but arrived at the least squares
    steps = "shifted error, 200 steps of descent"
    assert arms["aPC"][steps] == pytest.approx(by_squares[2], rel=1e-6)
    late = [arms[name]["distance of descent from least squares, in the sample"] for name in BASES]
    assert late[0] > 1e-3 > 1e-9 > late[2]


def test_the_probe_of_noiseless_wells_follows_them() -> None:
    found = run(BasesConfig(trials=8, noise=0.0), lambda *_: None)
    assert max(estimates(found, name)["error of the Euler path of the probe"] for name in BASES) < 1e-9


def test_bases_of_a_sample_span_the_same() -> None:
    sample = np.random.default_rng(0).normal(-0.4, 0.2, 50)
    for matrix in bases_of(sample, 4).values():
        assert np.linalg.matrix_rank(matrix) == 5
