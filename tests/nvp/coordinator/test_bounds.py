"""The bound on the curvature holds all over the box, also where a hinge is not yet active."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.coordinator import bounds
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.energy import energy, scaled_couplings, weighed
from nvp.coordinator.problem import build
from nvp.coordinator.reference import reference_curvature
from nvp.coordinator.scenarios import random_graph

curvature = jax.vmap(lambda problem, eta: jax.hessian(energy, argnums=1)(problem, eta), (None, 0))
largest = jax.jit(lambda problem, etas: jnp.abs(jnp.linalg.eigvalsh(curvature(problem, etas))).max())


weigh = jax.jit(lambda problem: weighed(problem, problem.weights))
limit_of = jax.jit(bounds.lipschitz)
cap = jax.jit(lambda problem, target: scaled_couplings(problem, bounds.room(problem, target)))


def bound(graph: CouplingGraph) -> float:
    with jax.enable_x64(True):
        return float(limit_of(weigh(build(graph))))


def test_no_state_of_the_box_is_curved_more() -> None:
    rng = np.random.default_rng(0)
    for _ in range(3):
        graph = random_graph(8, "rugged", rng)
        with jax.enable_x64(True):
            problem = weigh(build(graph))
            curved = largest(problem, jnp.asarray(np.clip(rng.uniform(-0.2, 1.2, (300, 8)), 0, 1)))
            limit = limit_of(problem)
        assert np.isfinite(limit)
        assert float(curved) <= float(limit) * (1 + 1e-12)


def test_an_inactive_hinge_counts() -> None:
    hinge = CouplingGraph(
        modules=[Module("landau")] * 2, couplings=[Coupling("directed_hinge", 0, 1, {"weight": 50.0})]
    )
    assert bound(hinge) == pytest.approx(12 + 4 * 50)


@pytest.mark.parametrize(
    ("kind", "params", "bounded"),
    [
        ("damped_gate_benefit", {"power": 1.5}, False),
        ("damped_gate_benefit", {"power": 2.0}, True),
        ("redemption", {"margin": 0.25}, False),
        ("redemption", {"margin": 0.0}, True),
        ("redemption", {"margin": 4.0}, True),
    ],
)
def test_a_jump_of_the_slope_has_no_bound(kind: str, params: dict[str, float], bounded: bool) -> None:
    delta = "d" if "gate" in kind else ""
    graph = CouplingGraph(
        modules=[Module("landau")] * 2, couplings=[Coupling(kind, 0, 1, params, delta=delta)], deltas={"d": 0.1}
    )
    assert np.isfinite(bound(graph)) == bounded


def test_the_cap_reaches_terms_that_no_weight_names() -> None:
    graph = random_graph(8, "convex", np.random.default_rng(1))
    assert not graph.weights
    target = 9.0
    with jax.enable_x64(True):
        problem = weigh(build(graph))
        assert limit_of(problem) > target
        assert float(limit_of(cap(problem, jnp.asarray(target)))) == pytest.approx(target)
        np.testing.assert_array_equal(np.asarray(cap(problem, jnp.asarray(1e9)).pairs.w), np.asarray(problem.pairs.w))


def test_the_reference_has_the_same_bound() -> None:
    rng = np.random.default_rng(3)
    for kind in ("convex", "rugged"):
        for _ in range(5):
            graph = random_graph(12, kind, rng)
            assert reference_curvature(graph) == pytest.approx(bound(graph), rel=1e-12)
    vertical = {"power": 1.5}
    for coupling in (
        Coupling("damped_gate_benefit", 0, 1, vertical, delta="d"),
        Coupling("redemption", 0, 1, {"margin": 0.1}),
    ):
        graph = CouplingGraph(modules=[Module("landau")] * 2, couplings=[coupling], deltas={"d": 0.1})
        assert reference_curvature(graph) == bound(graph) == np.inf
