"""Noise that makes members differ: a vector drawn per member enters the fused state z_t.

All cells see the same vector, each through its own features, so that what a member says is one field and not a draw per
cell. The kernel is zero untrained: members are then equal, and a deterministic network can be trained on to say spread.

Reference: Alet et al., Skillful joint probabilistic weather forecasting from marginals (2025).
"""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


class NoiseInput(nnx.Module):
    """A noise vector → its part of z_t; no bias, so that no noise is the same as none asked for."""

    def __init__(self, noise: int, latent: int) -> None:
        self.kernel = nnx.Param(jnp.zeros((noise, latent)))

    def __call__(self, noise: Float[Array, "b n"]) -> Float[Array, "b z"]:
        return noise @ self.kernel[...]
