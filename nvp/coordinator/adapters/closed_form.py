"""What a learnt adapter has to be held against: the one line it is rewarded for, and chance.

The reward of `gspo` is highest at ŵ_t = clip(target/‖∇F_t‖, floor, ceiling), which needs no learning. `closed_form`
takes it, `random_buckets` draws each weight from the same buckets uniformly; both move as `gspo` does, by `blend` of
the way at each step.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from nvp.coordinator.adapters.adapter import Adapter, Seen
from nvp.coordinator.adapters.balance import STILL, finite, nothing, within


@cache
def closed_form(*, target: float = 1.0, floor: float = 0.05, ceiling: float = 4.0, blend: float = 0.35) -> Adapter:
    """Towards clip(target/‖∇F_t‖, floor, ceiling)."""
    within(target, floor, ceiling)

    def update(
        seen: Seen, memory: tuple[()], weights: Float[Array, "t"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "t"], Any]:
        wanted = clipped_ratio(finite(seen.norms), target=target, floor=floor, ceiling=ceiling)
        return (1 - blend) * weights + blend * wanted, memory

    return Adapter(nothing, update)


@cache
def random_buckets(*, buckets: int = 16, floor: float = 0.05, ceiling: float = 4.0, blend: float = 0.35) -> Adapter:
    """Towards a bucket drawn uniformly for each term."""
    within(1.0, floor, ceiling)

    def update(
        seen: Seen, memory: tuple[()], weights: Float[Array, "t"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "t"], Any]:
        tokens = jax.random.randint(key, weights.shape, 0, buckets, jnp.int32)
        wanted = decoded(tokens, buckets=buckets, floor=floor, ceiling=ceiling).astype(weights.dtype)
        return (1 - blend) * weights + blend * wanted, memory

    return Adapter(nothing, update)


def clipped_ratio(norms: Float[Array, "*t"], *, target: float, floor: float, ceiling: float) -> Float[Array, "*t"]:
    """clip(target/norm): the weight under which a term pulls as hard as `target`."""
    return jnp.clip(target / jnp.maximum(norms, STILL), floor, ceiling)


def decoded(tokens: Int[Array, "*t"], *, buckets: int, floor: float, ceiling: float) -> Float[Array, "*t"]:
    """The weight that a bucket stands for, from `floor` to `ceiling` in even steps."""
    return floor + tokens.astype(jnp.float32) / (buckets - 1) * (ceiling - floor)
