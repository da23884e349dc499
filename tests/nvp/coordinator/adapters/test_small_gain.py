"""Weights grow within the room of a stable step, and what a term costs decides."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from nvp.coordinator import bounds
from nvp.coordinator.adapters.small_gain import Memory, curvature, greedy, small_gain, unit_rows
from nvp.coordinator.energy import precision, weighed
from nvp.coordinator.problem import build
from nvp.coordinator.scenarios import random_graph
from tests.nvp.coordinator.adapters.seeing import KEY, seen

ROWS = jnp.array([[2.0, 0.5, 0.0], [1.0, 4.0, 1.0], [0.0, 0.0, 6.0], [0.0, 0.0, 0.0]])


def grow(rows: jax.Array, *, steps: int = 60, **settings: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights after steps of equal pulls, and L along the way."""
    adapter, at = small_gain(**settings), seen([1.0, 1.0, 1.0, 1.0])

    def turn(state: tuple[jax.Array, Memory], _: None) -> tuple[tuple[jax.Array, Memory], jax.Array]:
        weights, memory = adapter.update(at, state[1], state[0], KEY)
        return (weights, memory), curvature(ROWS, weights)

    start = jnp.full(4, 0.5), Memory(rows, jnp.zeros(4), jnp.zeros(()))
    (weights, _), along = jax.jit(lambda: jax.lax.scan(turn, start, None, length=steps))()
    return np.asarray(weights), np.asarray(along)


def test_the_step_stays_stable() -> None:
    """Were costs lost on the way, every weight would grow to its ceiling and L beyond 2/α."""
    step = 0.25
    weights, along = grow(ROWS, step=step)
    assert (along < 2 / step).all()
    assert along[-1] > 0.9 * 2 / step
    _, naive = grow(jnp.zeros_like(ROWS), step=step)
    assert naive.max() > 2 / step
    assert weights[3] == 3  # what costs nothing is given


def test_the_share_of_the_room_matters() -> None:
    """With nothing spent, all shares give the same weights."""
    little, much = (grow(ROWS, steps=8, step=0.25, share=share)[0] for share in (0.05, 0.9))
    assert np.abs(little - much).max() > 0.1
    free = [grow(jnp.zeros_like(ROWS), steps=8, step=0.25, share=share)[0] for share in (0.05, 0.9)]
    np.testing.assert_array_equal(*free)


def test_the_best_score_is_served_first_and_what_no_longer_fits_is_passed_over() -> None:
    granted = greedy(jnp.array([3.0, 5.0, 1.0, 0.5]), jnp.array([1.0, 9.0, 5.0, -jnp.inf]), jnp.asarray(6.5))
    np.testing.assert_array_equal(granted, [False, True, True, False])


def test_rows_of_terms_add_up_to_those_of_the_whole() -> None:
    @precision
    def both() -> tuple[np.ndarray, np.ndarray]:
        problem = jax.tree.map(jnp.asarray, build(random_graph(10, "convex", np.random.default_rng(0))))
        weights = jnp.asarray(np.random.default_rng(1).uniform(0.1, 3, len(problem.weights)))
        whole = jax.jit(lambda given: bounds.rows(weighed(problem, given)))(weights)
        return np.asarray(whole), np.asarray(jax.jit(unit_rows)(problem).T @ weights)

    whole, added = both()
    np.testing.assert_allclose(added, whole, rtol=1e-12)
