"""Beginning somewhere better: proposals, past ends, the modules that are pulled most."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from nvp.coordinator.amortise import (
    SignatureCache,
    active_set,
    confidence,
    distance,
    relax_in_stages,
    signature,
    stage_plan,
)
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.relax import relax
from nvp.coordinator.scenarios import baseline, random_graph
from nvp.errors import FieldError


def test_a_half_open_gate_is_no_confidence() -> None:
    assert confidence([0.0, 0.5, 1.0, 0.75]).tolist() == [1, 0, 1, 0.5]
    naive = 1 - 2 * np.abs(np.array([0.5, 1.0]) - 0.5)
    assert naive[0] > naive[1]  # the other way round


def test_a_past_end_is_found_by_what_pulls_alike() -> None:
    rng = np.random.default_rng(0)
    graph = random_graph(8, "convex", rng)
    weights = dict.fromkeys(graph.terms, 1.01)
    alike = CouplingGraph(modules=graph.modules, couplings=graph.couplings, deltas=graph.deltas, weights=weights)
    other = random_graph(8, "rugged", rng)
    cache = SignatureCache(size=2)
    end = rng.random(8)
    cache.store(signature(graph), end)
    found = cache.find(signature(alike))
    assert found is not None
    np.testing.assert_array_equal(found, end)
    found[0] = 9.0  # its own copy
    np.testing.assert_array_equal(cache.find(signature(graph)), end)
    assert distance(signature(graph), signature(other)) > 0.05
    assert cache.find(signature(other)) is None
    assert cache.find(signature(baseline())) is None
    # the least recently used is forgotten
    cache.store(np.array([1.0, 0.0]), [0.0, 0.0])
    assert cache.find(signature(graph)) is not None
    cache.store(np.array([0.0, 1.0]), [1.0, 1.0])
    assert len(cache) == 2
    assert cache.find(np.array([1.0, 0.0])) is None


CHAIN = CouplingGraph(
    modules=[Module("hypothesis", {"a": a, "target": 1.0}) for a in (3.0, 0.1, 0.1, 0.2, 0.1)],
    couplings=[Coupling("quadratic", i, i + 1, {"weight": 0.5}) for i in range(4)],
)


def test_the_active_are_those_that_can_move() -> None:
    eta = np.full(5, 0.5)
    assert active_set(CHAIN, eta, 1, neighbours=False).tolist() == [True, False, False, False, False]
    assert active_set(CHAIN, eta, 1).tolist() == [True, True, False, False, False]
    # the one that is pulled most is at its bound: it does not count
    pinned = np.array([1.0, 1.0, 0.5, 0.5, 0.5])
    wall = CouplingGraph(modules=[Module("landau", {"a": 1.0, "h": 9.0})] + [Module("landau", {"a": 0.1})] * 4)
    assert active_set(wall, pinned, 1, neighbours=False).tolist() == [False, True, False, False, False]
    assert not active_set(wall, np.array([1.0, 0, 0, 0, 0]), 3).any()


def test_stages_share_the_budget() -> None:
    assert stage_plan(1, 7) == [7]
    assert stage_plan(3, 60) == [10, 20, 30]
    assert stage_plan(4, 5) == [1, 1, 1, 2]
    for bad in (0, 6):
        with pytest.raises(FieldError):
            stage_plan(bad, 5)


@pytest.mark.parametrize("mode", ["newton", "splitting", "lbfgs"])
def test_only_the_active_move(mode: str) -> None:
    """And among them F is as low as it gets with the others held: no solver moves a held end of a coupling."""
    start = np.array([0.1, 0.9, 0.2, 0.3, 0.4])
    active = np.array([True, True, False, True, False])
    found = relax(CHAIN, RelaxConfig(mode=mode, steps=200), jax.random.key(0), eta0=start, active=active)
    np.testing.assert_array_equal(found.eta[~active], start[~active])
    slope = reference_energy(CHAIN, found.eta)[1]
    # the minimum in closed form: (H η = b) on the active ones
    tolerance = 2e-2 if mode == "splitting" else 1e-5
    assert np.abs(slope[active]).max() < tolerance


def test_stages_end_with_the_whole_graph() -> None:
    start = np.array([0.1, 0.9, 0.2, 0.3, 0.4])
    stages = relax_in_stages(CHAIN, RelaxConfig(mode="newton", steps=60), jax.random.key(0), eta0=start, stages=2)
    energies = [reference_energy(CHAIN, start)[0], *(float(each.energy) for each in stages)]
    assert (np.diff(energies) <= 1e-15).all()
    assert stages[-1].eta == pytest.approx(np.ones(5), abs=1e-6)
