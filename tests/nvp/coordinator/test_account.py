"""The account of a relaxation: thinned, and true to the energy term by term."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from nvp.coordinator.account import _kept, account
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.relax import relax
from nvp.coordinator.scenarios import baseline, dense


def test_each_kept_step_adds_up() -> None:
    graph = baseline()
    found = relax(graph, RelaxConfig(mode="gradient", steps=40, record_states=True), jax.random.key(0))
    told = account(graph, found, limit=1000)
    assert [step.index for step in told.steps] == list(range(int(found.steps) + 1))
    for step in told.steps:
        value, slope = reference_energy(graph, np.array(step.eta))
        assert step.energy == pytest.approx(value, abs=1e-14)
        assert sum(step.term_energy) == pytest.approx(value, abs=1e-14)
        assert step.gradient_norm == pytest.approx(float(np.linalg.norm(slope)), abs=1e-12)
    assert told.steps[-1].eta == pytest.approx(found.eta.tolist())
    assert 1 < told.delta_f90 <= 9
    assert told.rejected == int(found.steps) - int(found.accepted)


def test_one_term_has_the_whole_gradient() -> None:
    """A graph of one kind without couplings: the norm of its term is that of the gradient."""
    from nvp.coordinator.coupling_graph import CouplingGraph, Module

    graph = CouplingGraph(modules=[Module("landau", {"a": -1.0}), Module("landau", {"a": 0.5})])
    told = account(graph, relax(graph, RelaxConfig(steps=5, record_states=True), jax.random.key(0)))
    for step in told.steps:
        assert step.term_norm == pytest.approx((step.gradient_norm,))


def test_a_long_trail_is_thinned() -> None:
    graph = dense()
    found = relax(graph, RelaxConfig(mode="coordinate", steps=300, record_states=True), jax.random.key(0))
    last = int(found.steps)
    assert last > 60
    told = account(graph, found, limit=20)
    kept = [step.index for step in told.steps]
    assert kept[0] == 0
    assert kept[-1] == last
    assert len(kept) <= 22


def test_refused_steps_are_kept_while_there_is_room() -> None:
    assert _kept(100, np.array([33, 77]), 20) == sorted({*range(0, 100, 10), 100, 33, 77})
    assert _kept(100, np.arange(100), 20) == sorted({*range(0, 100, 10), 100, *range(9)})
    assert _kept(0, np.array([], int), 20) == [0]
