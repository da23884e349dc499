"""Relaxing while weights change: versions are counted, each step is judged by one of them, and none is compared."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest

from nvp.coordinator import config
from nvp.coordinator.account import account
from nvp.coordinator.adapters.registry import ADAPTERS, adapter_of
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.many import relax_many
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.relax import Relaxation, relax
from nvp.coordinator.scenarios import baseline
from nvp.errors import FieldError

WEIGHTS = {"local:gating": 1.4, "coup:quadratic": 0.6}
GRAPH = replace(baseline(), weights=WEIGHTS)
PRICED = CouplingGraph(
    modules=[Module("gating", {"net": 0.3}), Module("hypothesis")],
    couplings=[Coupling("gate_benefit", 0, 1, delta="cost", term="price:joules"), Coupling("quadratic", 0, 1)],
    deltas={"cost": -0.2},
)
START = [0.9, 0.1]
LEAST = -0.00250761208616738


@pytest.fixture(scope="module")
def found() -> Relaxation:
    settings = RelaxConfig(mode="gradient", steps=40, record_states=True, adapter="norm_balance")
    return relax(GRAPH, settings, jax.random.key(0), eta0=START)


def weighed_energy(eta: np.ndarray, weights: np.ndarray) -> float:
    """F under some weights, by the plain loop."""
    named = dict(zip(GRAPH.terms, weights.tolist(), strict=True))
    return reference_energy(replace(GRAPH, weights=named), eta)[0]


def test_the_first_objective_is_the_configured_one(found: Relaxation) -> None:
    """Starting over from 1 is how an adapter forgets what it was given."""
    np.testing.assert_array_equal(found.trail.weights[:2], [[1.4, 0.6, 1.0]] * 2)
    assert found.initial_energy == pytest.approx(reference_energy(GRAPH, START)[0], rel=1e-12)


def test_a_version_ends_where_weights_change(found: Relaxation) -> None:
    last = int(found.steps)
    versions, weights = found.trail.version[1 : last + 1], found.trail.weights[1 : last + 1]
    changed = (np.diff(weights, axis=0) != 0).any(axis=1)
    assert changed.any()
    np.testing.assert_array_equal(np.diff(versions), changed)


def test_each_step_falls_under_its_own_version(found: Relaxation) -> None:
    for step in range(1, int(found.steps) + 1):
        before, after = found.trail.states[step - 1], found.trail.states[step]
        fall = weighed_energy(before, found.trail.weights[step]) - weighed_energy(after, found.trail.weights[step])
        assert fall == pytest.approx(found.trail.gain[step], abs=1e-12)
        assert fall >= 0


def test_energies_of_the_trail_are_of_the_configured_objective(found: Relaxation) -> None:
    last = int(found.steps)
    energies = [reference_energy(GRAPH, eta)[0] for eta in found.trail.states[: last + 1]]
    np.testing.assert_allclose(found.trail.energy[: last + 1], energies, atol=1e-12)
    assert found.energy == pytest.approx(min(energies), abs=1e-12)


def test_the_account_says_what_each_step_was_judged_by(found: Relaxation) -> None:
    for step in account(GRAPH, found, limit=1000).steps:
        assert step.objective_version == found.trail.version[step.index]
        assert step.weights == tuple(found.trail.weights[step.index].tolist())


def test_an_energy_under_changed_weights_is_no_achievement(found: Relaxation) -> None:
    """It lies below the least F there is; F with all weights 1 never does."""
    last = int(found.steps)
    assert weighed_energy(found.trail.states[last], found.trail.weights[last]) < 1.5 * LEAST
    plain = [weighed_energy(eta, np.ones(3)) for eta in found.trail.states[: last + 1]]
    assert min(plain) >= LEAST - 1e-12


def test_every_adapter_has_a_name_and_knows_its_graph() -> None:
    assert {"none", *ADAPTERS} == set(config.ADAPTERS)
    assert adapter_of("none", GRAPH) is None
    for name in ADAPTERS:
        # the same for the same graph: what is compiled for one run serves the next
        assert adapter_of(name, PRICED) is adapter_of(name, PRICED)
    with pytest.raises(FieldError, match=r"term `price:…` .* got local:gating, coup:quadratic, coup:gate_benefit"):
        adapter_of("gate_cost", GRAPH)


def test_an_adapter_is_refused_where_there_is_none_or_where_it_would_adapt_padding() -> None:
    with pytest.raises(FieldError):
        RelaxConfig(adapter="gradient_norm")
    with pytest.raises(FieldError):
        relax_many([GRAPH], RelaxConfig(adapter="phase"), jax.random.key(0), [START])
