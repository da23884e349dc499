"""Spatial entropy: how widely an energy field is spread over its grid.

S = −Σ p ln p with p = E/ΣE (Shannon, 1948), in nats: 0 where one cell holds everything, ln(H·W) where all cells hold
the same. One formula for NumPy and JAX, so that the graph's statistics and the model's scores mean the same number.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float


def spatial_entropy(energy: Float[Any, "*batch h w c"]) -> Float[Any, "*batch"]:
    """Spatial entropy of each field in nats; 0 for a field without energy.

    `energy` is >= 0, any array of the array API standard; accumulates in the dtype that it has.
    """
    xp = energy.__array_namespace__()
    total = xp.sum(energy, axis=(-3, -2, -1), keepdims=True)
    share = energy / xp.where(total > 0, total, xp.ones_like(total))
    # p ln p → 0 as p → 0; the inner `where` keeps ln 0, and its gradient, out of it
    logarithm = xp.log(xp.where(share > 0, share, xp.ones_like(share)))
    return -xp.sum(share * logarithm, axis=(-3, -2, -1))
