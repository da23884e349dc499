"""A thousand random graphs as one array program: energy, gradient and curvature against the plain loop."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.coordinator import bounds
from nvp.coordinator.batch import stack
from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.energy import energy, value_and_grad, weighed
from nvp.coordinator.problem import Problem, build
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.scenarios import random_graph

COUNT, SIZE, STATES = 1000, 8, 10


@pytest.fixture(scope="module")
def drawn() -> tuple[list[CouplingGraph], Problem, np.ndarray]:
    """Graphs, their arrays, and states of each, faces and corners of the box among them."""
    rng = np.random.default_rng(0)
    graphs = [random_graph(SIZE, ("convex", "rugged")[number % 2], rng, per_module=2) for number in range(COUNT)]
    states = np.clip(rng.uniform(-0.3, 1.3, (COUNT, STATES, SIZE)), 0, 1)
    return graphs, stack([build(graph) for graph in graphs]), states


def test_energy_loop_parity_and_grad_parity(drawn: tuple[list[CouplingGraph], Problem, np.ndarray]) -> None:
    graphs, problems, states = drawn
    with jax.enable_x64(True):
        values, slopes = jax.jit(jax.vmap(value_and_grad))(problems, jnp.asarray(states[:, 0]))
    for graph, eta, value, slope in zip(graphs, states[:, 0], np.asarray(values), np.asarray(slopes), strict=True):
        expected, by_hand = reference_energy(graph, eta)
        assert value == pytest.approx(expected, rel=1e-12, abs=1e-12)
        np.testing.assert_allclose(slope, by_hand, rtol=1e-11, atol=1e-12)
    for graph, eta in zip(graphs[:40], states[:40, 0], strict=True):
        # finite differences: central inside, from one side at the faces, where a naive one leaves the box
        _, by_hand = reference_energy(graph, eta)
        for number in range(SIZE):
            low, high = np.array(eta), np.array(eta)
            low[number], high[number] = max(0, eta[number] - 1e-6), min(1, eta[number] + 1e-6)
            assert ((low >= 0) & (high <= 1)).all()
            rise = reference_energy(graph, high)[0] - reference_energy(graph, low)[0]
            assert rise / (high[number] - low[number]) == pytest.approx(by_hand[number], abs=2e-5)


def test_lipschitz_bounds_hold_in_ten_thousand_states(
    drawn: tuple[list[CouplingGraph], Problem, np.ndarray],
) -> None:
    _, problems, states = drawn

    @jax.jit
    def curved(problems: Problem, states: jax.Array) -> tuple[jax.Array, jax.Array]:
        def of_graph(problem: Problem, etas: jax.Array) -> tuple[jax.Array, jax.Array]:
            problem = weighed(problem, problem.weights)
            hessians = jax.vmap(lambda eta: jax.hessian(energy, argnums=1)(problem, eta))(etas)
            return jnp.abs(jnp.linalg.eigvalsh(hessians)).max(axis=-1), bounds.lipschitz(problem)

        return jax.vmap(of_graph)(problems, states)

    with jax.enable_x64(True):
        found, limits = map(np.asarray, curved(problems, jnp.asarray(states)))
    assert found.size == 10_000
    slack = found / limits[:, None]
    assert np.isfinite(limits).all()
    assert slack.max() <= 1 + 1e-12
    # and the bound is no idle one
    assert np.median(slack.max(axis=1)) > 0.3
