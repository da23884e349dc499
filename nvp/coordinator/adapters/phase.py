"""The phase of a relaxation, and weights that follow it: couplings are boosted while F falls, tamed while it swings.

The phase is read off the last energies under *one* objective, by their differences alone, so that neither a change of
weights nor a sign of F can be taken for one:

| phase | last drops of F | couplings | gates |
|---|---|---|---|
| stalled | together under a thousandth of the most there ever were | as they are | as they are |
| descending | the net fall is more than half of all movement | × (1 + lift) | × 0.97 |
| oscillating | less than half | × 0.97 | × 1.05 |
| rising | more than half, upwards | × 0.97 | × 1.05 |

A boost grows by .05 where the phase is uncertain (epistemic + aleatoric > 1), and shrinks by .02 below .3.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from nvp.coordinator.adapters.adapter import Adapter, Seen
from nvp.coordinator.problem import Problem

STALLED, DESCENDING, OSCILLATING, RISING = range(4)
SPAN = 6
"""Energies that a phase is read off."""
STILL = 1e-3
BOOST, TAME, RELEASE, HOLD = 1.05, 0.97, 0.97, 1.05
WIDEST = 4.0
"""A weight stays within this factor of the configured one, in both directions."""


class Phase(NamedTuple):
    """What the last energies say."""

    state: Int[Array, ""]
    # net fall over all movement, from −1 to 1; slope and variance of the drops; share of them that turn round
    rate: Float[Array, ""]
    trend: Float[Array, ""]
    variance: Float[Array, ""]
    oscillation: Float[Array, ""]
    epistemic: Float[Array, ""]
    aleatoric: Float[Array, ""]


class Memory(NamedTuple):
    """The last energies, oldest first, the most movement that any of their spans had, and the configured weights."""

    energies: Float[Array, "span"]
    most: Float[Array, ""]
    configured: Float[Array, "t"]


def phase_of(energies: Float[Array, "span"], most: Float[Array, ""]) -> Phase:
    """The phase, where spans before moved by at most `most`."""
    drops = -jnp.diff(energies)
    movement = jnp.abs(drops).sum()
    moving = movement > STILL * jnp.maximum(most, movement)
    scale = jnp.where(moving, movement, 1.0)
    relative = drops / scale
    rate = jnp.where(moving, relative.sum(), 0.0)
    oscillation = jnp.where(moving, 1 - jnp.abs(rate), 0.0)
    variance = jnp.where(moving, jnp.var(relative), 0.0)
    state = jnp.where(rate > 0.5, DESCENDING, jnp.where(rate < -0.5, RISING, OSCILLATING))
    return Phase(
        jnp.where(moving, state, STALLED),
        rate,
        jnp.where(moving, _slope(relative), 0.0),
        variance,
        oscillation,
        jnp.minimum(1.0, (1 - jnp.maximum(rate, 0.0)) + oscillation),
        jnp.minimum(1.0, variance),
    )


def following(factors: Callable[[Phase], Float[Array, "t"]]) -> Adapter:
    """Weights that are multiplied by the phase's factors, within `WIDEST` of the configured ones."""

    def init(problem: Problem, seen: Seen) -> Memory:
        return Memory(jnp.full(SPAN, seen.energy), jnp.zeros_like(seen.energy), problem.weights)

    def update(
        seen: Seen, memory: Memory, weights: Float[Array, "t"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "t"], Memory]:
        energies = jnp.append(memory.energies[1:], seen.energy)
        most = jnp.maximum(memory.most, jnp.abs(jnp.diff(energies)).sum())
        low, high = memory.configured / WIDEST, memory.configured * WIDEST
        followed = jnp.clip(weights * factors(phase_of(energies, most)), low, high)
        return followed, Memory(energies, most, memory.configured)

    return Adapter(init, update)


@cache
def phase(couplings: tuple[bool, ...], gates: tuple[bool, ...]) -> Adapter:
    """Follows the phase; for each term whether it is one of couplings or of gates, the others are left alone."""

    def factors(found: Phase) -> Float[Array, "t"]:
        uncertain = found.epistemic + found.aleatoric
        lift = BOOST + jnp.where(uncertain > 1, 0.05, jnp.where(uncertain < 0.3, -0.02, 0.0))
        stalled, falls = found.state == STALLED, found.state == DESCENDING
        of_couplings = jnp.where(stalled, 1.0, jnp.where(falls, lift, TAME))
        of_gates = jnp.where(stalled, 1.0, jnp.where(falls, RELEASE, HOLD))
        return jnp.where(np.array(couplings), of_couplings, jnp.where(np.array(gates), of_gates, 1.0))

    return following(factors)


def _slope(values: Float[Array, "k"]) -> Float[Array, ""]:
    """Of the line of least squares through values at 0, 1, 2 …"""
    at = jnp.arange(len(values), dtype=values.dtype)
    away = at - at.mean()
    return (away @ values) / (away @ away)
