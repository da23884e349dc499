"""Order parameters measured from what they stand for."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from nvp.coordinator import measures
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph, Module
from nvp.coordinator.relax import relax
from nvp.errors import FieldError


def test_a_hazard_adds_no_new_shape() -> None:
    """1 − e^(−softplus(z)) = σ(z): a gate is open by half exactly where gain equals cost."""
    for net in (-2.0, -0.1, 0.0, 0.1, 2.0):
        assert 1 - np.exp(-measures.hazard_rate(net)) == pytest.approx(measures.gate_opening(net))
    assert measures.gate_opening(0.0) == 0.5
    slope = (measures.gate_opening(0.1 + 1e-6) - measures.gate_opening(0.1 - 1e-6)) / 2e-6
    assert measures.gate_response(0.1) == pytest.approx(slope)
    assert measures.hazard_rate(1e4) == pytest.approx(1e5)


def test_order_of_a_sequence() -> None:
    assert measures.sequence_order([1, 2, 2, 3]) == 1
    assert measures.sequence_order([3, 2, 1]) == 0
    assert measures.sequence_order([1, 3, 2]) == pytest.approx(2 / 3)
    assert measures.sampled_sequence_order(np.arange(9), np.random.default_rng(0)) == 1
    # the last pair of three is drawn half of the time, the other two a quarter each
    drawn = measures.sampled_sequence_order([2, 3, 1], np.random.default_rng(0), samples=20_000)
    assert drawn == pytest.approx(0.25, abs=0.02)
    with pytest.raises(FieldError):
        measures.sequence_order([1.0])


def test_connectivity_is_the_share_of_the_largest_component() -> None:
    assert measures.connectivity(5, [(0, 1), (1, 2)]) == pytest.approx(0.6)
    assert measures.connectivity(3, []) == pytest.approx(1 / 3)
    assert measures.connectivity(0, []) == 0
    with pytest.raises(FieldError):
        measures.connectivity(2, [(0, 2)])


def test_mutual_defection_is_the_equilibrium() -> None:
    assert measures.equilibrium(1.0, 1.0) == 1
    assert measures.regret(0.0, 0.0) == pytest.approx(2)
    # against one who defects half of the time: cooperate 1.5, defect 3
    assert measures.regret(0.5, 0.5) == pytest.approx(3 - 2.25)


def test_compliance_falls_with_the_residual() -> None:
    assert [measures.compliance(each, scale=2.0) for each in (0.0, -1.0, 5.0)] == [1, 0.5, 0]
    with pytest.raises(FieldError):
        measures.compliance(1.0, scale=0.0)


def test_relaxing_an_order_repairs_nothing() -> None:
    """The well of a sequence pulls its η to 1 whatever the sequence: both values are kept, and only one is measured."""
    values = [1, 2, 9, 4, 3, 6]
    measured = measures.sequence_order(values)
    graph = CouplingGraph(modules=[Module("sequence")])
    found = relax(graph, RelaxConfig(steps=20, record_states=True), jax.random.key(0), eta0=[measured])
    assert found.energy < found.initial_energy  # taken for a repair, this says that the sequence is in order
    assert float(found.eta[0]) == pytest.approx(1, abs=1e-3)
    assert measures.sequence_order(values) == measured == float(found.trail.states[0, 0]) < 0.8
