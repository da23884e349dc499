"""Basis functions that vary alike, by hand and for every basis."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.coordinator.coupling_graph import CouplingGraph, Module
from nvp.coordinator.features import ALIKE, WINDOW, correlation, feature_correlation, features


def graph(basis: object, *, normalized: bool = True) -> CouplingGraph:
    params = {"coefficients": (0.0, 0.1, 0.2), "basis": basis, "normalized": normalized}
    return CouplingGraph(modules=[Module("gating"), Module("polynomial", params)])


def test_features_are_those_of_the_basis() -> None:
    xi = np.array([-1.0, 0.0, 0.5])
    assert features(xi, 3, "monomial").tolist() == [[-1, 1], [0, 0], [0.5, 0.25]]
    assert features(xi, 3, "legendre")[:, 1] == pytest.approx((3 * xi**2 - 1) / 2)
    own = ((1.0, 0.0, 0.0), (0.0, 2.0, 0.0), (1.0, 0.0, 1.0))
    assert features(xi, 3, own) == pytest.approx(np.stack([2 * xi, 1 + xi**2], axis=1))


def test_the_correlation_is_that_of_numpy() -> None:
    table = np.random.default_rng(0).normal(size=(40, 4))
    table[:, 3] = 7.0  # varies with nothing
    expected = np.abs(np.corrcoef(table[:, :3].T) - np.eye(3)).max()
    assert correlation(table) == pytest.approx(expected)
    assert np.isnan(correlation(table[:2]))
    assert np.isnan(correlation(table[:, 2:]))


def test_a_trail_along_one_side_cannot_tell_them_apart_and_one_through_the_middle_can() -> None:
    """Near ξ = 1 both ξ and ξ² rise as straight lines; over the whole of −1 … 1 they have nothing in common."""
    states = np.full((80, 2), 0.5)
    states[:, 1] = np.linspace(0.9, 1.0, 80)
    for basis in ("legendre", "monomial"):
        assert feature_correlation(graph(basis), states)[-1] > 0.99 > ALIKE
    states[:, 1] = np.linspace(0.0, 1.0, 80)
    found = feature_correlation(graph("legendre"), states, window=80)
    assert found[-1] < 1e-9
    # of ξ = η itself, without the middle at 0, it is another question
    assert feature_correlation(graph("legendre", normalized=False), states, window=80)[-1] > ALIKE


def test_only_the_last_states_count_and_nothing_is_told_of_other_kinds() -> None:
    rng = np.random.default_rng(1)
    states = rng.random((100, 2))
    found = feature_correlation(graph("monomial"), states)
    assert found[-1] == feature_correlation(graph("monomial"), states[-WINDOW:])[-1]
    assert np.isnan(found[:2]).all()
    alone = CouplingGraph(modules=[Module("gating")] * 2)
    assert np.isnan(feature_correlation(alone, states)).all()
