"""Small gain: terms that pull hard for the curvature that they cost may weigh more, as far as a step stays stable.

A step α contracts only where αL < 2. L is at most the largest row Σ_t w_t·row_t(i) of Gershgorin's sums, so a term
costs at most max_i row_t(i) per unit of weight, and the room is 2/α − L(w). Each step spends at most a share of it:

    value_t = (w_t‖∇F_t‖)²,  score_t ← EMA(value_t / cost_t),  in the order of their scores:  w_t ← (1 + rate)·w_t
    while Σ cost_t·Δw_t ≤ share·(2/α − L(w))

so that L(w) stays below 2/α. A coupling that is to have a cost of its own gets a term of its own; a term that is linear
in η costs nothing.

Zames, "On the input-output stability of time-varying nonlinear feedback systems", IEEE Trans. Automatic Control 11
(1966).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from nvp.coordinator import bounds
from nvp.coordinator.adapters.adapter import Adapter, Seen
from nvp.coordinator.adapters.balance import finite, within
from nvp.coordinator.allocation import FREE, SMOOTHING
from nvp.coordinator.energy import weighed
from nvp.coordinator.problem import Problem


class Memory(NamedTuple):
    """What a unit of each term's weight adds to each row, the scores, and what was spent at the last step."""

    rows: Float[Array, "t n"]
    scores: Float[Array, "t"]
    spent: Float[Array, ""]


@cache
def small_gain(
    *,
    step: float = 0.05,
    share: float = 0.7,
    rate: float = 0.1,
    smoothing: float = SMOOTHING,
    floor: float = 0.1,
    ceiling: float = 3.0,
) -> Adapter:
    """Raises weights within the room that a step of `step` leaves."""
    within(step, floor, ceiling)

    def init(problem: Problem, seen: Seen) -> Memory:
        rows = unit_rows(problem)
        return Memory(rows, jnp.zeros_like(problem.weights), jnp.zeros_like(seen.energy))

    def update(
        seen: Seen, memory: Memory, weights: Float[Array, "t"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "t"], Memory]:
        cost = memory.rows.max(axis=1)
        value = finite(weights * seen.norms) ** 2
        scores = (1 - smoothing) * memory.scores + smoothing * value / jnp.maximum(cost, FREE)
        high = jnp.maximum(weights, ceiling)  # a configured weight beyond the bounds stays
        wanted = jnp.clip(weights * (1 + rate), jnp.minimum(weights, floor), high)
        price = jnp.where(wanted > weights, cost * (wanted - weights), 0.0)
        room = share * jnp.maximum(0.0, 2 / step - curvature(memory.rows, weights))
        granted = greedy(price, jnp.where(scores > 0, scores, -jnp.inf), room)
        spent = jnp.where(granted, price, 0.0).sum()
        return jnp.where(granted, wanted, weights), Memory(memory.rows, scores, spent)

    return Adapter(init, update)


def unit_rows(problem: Problem) -> Float[Array, "t n"]:
    """Gershgorin's row sums of each term as if it weighed 1 and the others nothing; they add up."""
    return jax.vmap(lambda weights: bounds.rows(weighed(problem, weights)))(jnp.eye(problem.weights.shape[0]))


def curvature(rows: Float[Array, "t n"], weights: Float[Array, "t"]) -> Float[Array, ""]:
    """L of the weighed sum; a term without weight costs nothing, even where its curvature has no bound."""
    held = weights[:, None] > 0
    return jnp.where(held, weights[:, None] * jnp.where(held, rows, 0.0), 0.0).sum(axis=0).max()


def greedy(price: Float[Array, "t"], scores: Float[Array, "t"], room: Float[Array, ""]) -> Bool[Array, "t"]:
    """Who gets what they ask for, best score first; one that no longer fits is passed over."""

    def grant(left: Float[Array, ""], entry: tuple[Array, Array]) -> tuple[Float[Array, ""], Bool[Array, ""]]:
        asked, score = entry
        fits = (asked <= left) & (score > -jnp.inf)
        return jnp.where(fits, left - asked, left), fits

    order = jnp.argsort(-scores)
    _, fits = jax.lax.scan(grant, room, (price[order], scores[order]))
    return jnp.zeros_like(fits).at[order].set(fits)
