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
from jaxtyping import Array, Float

from nvp.coordinator.adapters.adapter import Adapter
from nvp.coordinator.adapters.phase import DESCENDING, STALLED, Phase, following

CHEAPER, DEARER, SMOOTHING = 0.85, 1.15, 0.25


@cache
def gate_cost(prices: tuple[bool, ...]) -> Adapter:
    """For each term whether it is a price; the others are left alone."""

    def factors(found: Phase) -> Float[Array, "t"]:
        dearer = jnp.where(found.state == DESCENDING, CHEAPER, DEARER)
        wanted = jnp.where(found.state == STALLED, 1.0, dearer)
        return jnp.where(np.array(prices), 1 + SMOOTHING * (wanted - 1), 1.0)

    return following(factors)
