"""The price of opening gates follows the phase: cheaper while F falls, dearer while it swings or rises.

    c ← c + ¼·(f·c − c),    f = 0.85 descending, 1.15 oscillating or rising, 1 stalled

A price that is to follow is a term of F of its own, w·c·η: a `gate_benefit` whose benefit Δ is −c, under a term whose
name begins with `price:` (see `prices`). One that is only part of a gate's `net` is weighed with the gate's own well.
The phase is read off the energies as `phase` reads it, under one objective, to which the price belongs as drawn.
"""

from __future__ import annotations

from functools import cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from nvp.coordinator.adapters.adapter import Adapter, Seen
from nvp.coordinator.adapters.phase import DESCENDING, SPAN, STALLED, WIDEST, Memory, phase_of
from nvp.coordinator.problem import Problem

CHEAPER, DEARER, SMOOTHING = 0.85, 1.15, 0.25


@cache
def gate_cost(prices: tuple[bool, ...]) -> Adapter:
    """For each term whether it is a price; the others are left alone."""

    def init(problem: Problem, seen: Seen) -> Memory:
        return Memory(jnp.full(SPAN, seen.energy), jnp.zeros_like(seen.energy), problem.weights)

    def update(
        seen: Seen, memory: Memory, weights: Float[Array, "t"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "t"], Memory]:
        energies = jnp.append(memory.energies[1:], seen.energy)
        most = jnp.maximum(memory.most, jnp.abs(jnp.diff(energies)).sum())
        state = phase_of(energies, most).state
        wanted = jnp.where(state == STALLED, 1.0, jnp.where(state == DESCENDING, CHEAPER, DEARER))
        factor = jnp.where(np.array(prices), 1 + SMOOTHING * (wanted - 1), 1.0)
        low, high = memory.configured / WIDEST, memory.configured * WIDEST
        return jnp.clip(weights * factor, low, high), Memory(energies, most, memory.configured)

    return Adapter(init, update)
