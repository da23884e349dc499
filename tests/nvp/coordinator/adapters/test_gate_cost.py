"""Prices that follow the phase: synthetic histories by hand, and a gate whose price is a term of F."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.coordinator.adapters.gate_cost import gate_cost
from nvp.coordinator.adapters.phase import WIDEST
from nvp.coordinator.adapters.prices import PRICE, prices_of
from nvp.coordinator.adapters.registry import phase_of_graph
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.relax import relax
from tests.nvp.coordinator.adapters.seeing import KEY, problem, seen

ADAPTER = gate_cost((False, True, False))
UPDATE = jax.jit(ADAPTER.update)
START = np.array([1.2, 0.4, 2.5], np.float32)


def history(energies: list[float]) -> np.ndarray:
    """Weights after a history, by how much they grew; the second term is the price."""
    given = jnp.asarray(START)
    memory = ADAPTER.init(problem(), seen([1.0] * 3, energy=energies[0]))._replace(configured=given)
    for energy in energies[1:]:
        given, memory = UPDATE(seen([1.0] * 3, energy=energy), memory, given, KEY)
    return np.asarray(given) / START


@pytest.mark.parametrize(
    ("energies", "factor"),
    [
        # a quarter of the way to 0.85, five times
        ([1.0, 0.8, 0.6, 0.4, 0.2, 0.0], (1 - 0.25 * 0.15) ** 5),
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], (1 + 0.25 * 0.15) ** 5),
        ([0.3] * 6, 1.0),
    ],
)
def test_prices_fall_while_energy_falls_and_nothing_else_moves(energies: list[float], factor: float) -> None:
    assert history(energies) == pytest.approx([1, factor, 1], rel=1e-5)


def test_a_price_never_leaves_its_bounds() -> None:
    falling = history([10.0 - 0.1 * number for number in range(80)])
    assert falling[1] == pytest.approx(1 / WIDEST)


def test_a_price_is_a_term_of_its_own_and_steers_its_gate() -> None:
    """Weighed by itself: the well of the gate, where a price in `net` would be, keeps its weight."""
    graph = CouplingGraph(
        modules=[Module("gating", {"net": 0.3}), Module("hypothesis")],
        couplings=[
            Coupling("gate_benefit", 0, 1, delta="cost", term=f"{PRICE}joules"),
            Coupling("quadratic", 0, 1, {"weight": 0.05}),
        ],
        deltas={"cost": -0.2},
    )
    assert graph.terms[prices_of(graph).index(True)] == "price:joules"
    assert phase_of_graph(graph) is not None
    config = RelaxConfig(mode="gradient", steps=12, adapter="gate_cost")
    found = relax(graph, config, KEY, eta0=[0.9, 0.5])
    weights = np.asarray(found.trail.weights[: int(found.steps) + 1])
    others = [place for place, is_price in enumerate(prices_of(graph)) if not is_price]
    assert (weights[:, others] == 1).all()
    assert weights[-1, prices_of(graph).index(True)] < 0.9
    assert float(found.energy) <= float(found.initial_energy)
