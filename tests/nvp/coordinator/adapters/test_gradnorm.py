"""The published GradNorm: slower terms pull harder, and the weights keep their sum."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.coordinator.adapters.balance import norm_balance
from nvp.coordinator.adapters.gradnorm import Memory, gradnorm, lower_bounds, published_slope
from nvp.coordinator.energy import precision, term_energies
from nvp.coordinator.problem import build
from nvp.coordinator.scenarios import random_graph
from tests.nvp.coordinator.adapters.seeing import KEY, problem, seen


def test_the_slope_is_that_of_the_published_loss() -> None:
    """By central differences of Σ|w‖∇F‖ − target|, the target held."""
    # the first pull, .68, lies between its targets for α = 1.5 (.65) and α = 1 (.76)
    norms, weights = np.array([0.5667, 4.0, 1.0]), np.array([1.2, 0.4, 0.9])
    energies, first = np.array([0.3, 0.6, 0.1]), np.array([1.0, 0.8, 0.5])
    left = energies / first
    target = (weights * norms).mean() * (left / left.mean()) ** 1.5
    by_hand = [
        (np.abs((weights + h) * norms - target).sum() - np.abs((weights - h) * norms - target).sum()) / 2e-4
        for h in 1e-4 * np.eye(3)
    ]
    memory = Memory(jnp.zeros(3), jnp.asarray(first, jnp.float32), jnp.asarray(2.5), None)
    slope = published_slope(seen(norms, energies), memory, jnp.asarray(weights, jnp.float32), alpha=1.5)
    np.testing.assert_allclose(slope, by_hand, rtol=1e-3)


def test_of_equal_pulls_the_slower_term_gains_and_the_sum_stays() -> None:
    """Norm balancing sees no difference between the two."""
    adapter = gradnorm()
    start = problem()
    at = seen([1.0, 1.0, 1.0], [1.0, 1.0, 1.0])
    memory = adapter.init(start, at)
    memory = memory._replace(bottom=jnp.zeros(3), first=jnp.ones(3), total=jnp.asarray(2.4))
    weights = jnp.full(3, 0.8)
    later = seen([1.0, 1.0, 1.0], [0.9, 0.1, 0.1])
    update = jax.jit(adapter.update)
    for _ in range(10):
        weights, memory = update(later, memory, weights, KEY)
    assert float(weights.sum()) == pytest.approx(2.4, rel=1e-5)
    assert weights[0] > 0.85 > 0.8 > weights[1]
    same, _ = norm_balance().update(later, (), jnp.full(3, 0.8), KEY)
    assert float(jnp.ptp(same)) == 0


def test_the_loss_of_a_term_is_never_below_zero() -> None:
    """Terms have energies below 0 here, of which no ratio can be taken."""
    graph = random_graph(12, "rugged", np.random.default_rng(1))

    @precision
    def margins() -> tuple[np.ndarray, np.ndarray]:
        arrays = jax.tree.map(jnp.asarray, build(graph))
        states = jnp.asarray(np.pad(np.random.default_rng(2).random((200, 12)).round(1), ((0, 0), (0, 4))))
        energies = jax.jit(jax.vmap(term_energies, in_axes=(None, 0)))(arrays, states)
        return np.asarray(energies), np.asarray(energies - jax.jit(lower_bounds)(arrays)[None])

    energies, losses = margins()
    assert energies.min() < 0
    assert losses.min() >= -1e-12
