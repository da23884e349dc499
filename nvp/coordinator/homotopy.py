"""Homotopy: an objective that begins with a share of some weights and grows into the full one.

    s(t) = s₀ + (1 − s₀)·min(1, t/T)

for all couplings at once, named in the weights or not, and for single terms. Where a step is refused, every s₀ below 1
is halved, down to `LEAST`: the next objective is gentler. All shares reach 1, so that the last objective is F.

Allgower & Georg, "Introduction to Numerical Continuation Methods", SIAM (2003).
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from nvp.coordinator.config import RelaxConfig

LEAST = 0.05
"""Shares are not halved below this."""


def progress(config: RelaxConfig, step: Int[Array, ""], like: Float[Array, "..."]) -> Float[Array, ""]:
    """min(1, t/T); 1 without homotopy."""
    if not config.homotopy_steps:
        return jnp.ones((), like.dtype)
    return jnp.minimum(1.0, step.astype(like.dtype) / config.homotopy_steps)


def share(begin: Float[Array, "*t"], done: Float[Array, ""], halvings: Int[Array, ""]) -> Float[Array, "*t"]:
    """s(t) of shares that began with `begin` and were halved so often; what began whole stays whole."""
    least = jnp.minimum(begin, LEAST)
    start = jnp.where(begin < 1, jnp.maximum(begin / 2.0 ** halvings.astype(done.dtype), least), 1.0)
    return start + (1 - start) * done


def shares_of(terms: tuple[str, ...], config: RelaxConfig) -> list[float]:
    """s₀ of each term; 1 where none is named."""
    named = dict(config.homotopy_terms)
    return [named.get(term, 1.0) for term in terms]
