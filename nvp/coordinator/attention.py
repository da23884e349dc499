"""Attention whose loss asks it to be even.

    A = softmax(qkᵀ/√d),  y = Av,  E = λ·mean over the batch of Var(A)

with the variance over both of A's last axes: λ > 0 penalises maps that look at few places. q, k and v are linear
without bias (Vaswani et al., "Attention is all you need", NeurIPS 2017).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from nvp.errors import FieldError


class EnergyAttention(nnx.Module):
    """One head of self-attention; a call gives y and E."""

    def __init__(self, features: int, *, strength: float = 0.1, rngs: nnx.Rngs) -> None:
        if features < 1 or not 0 <= strength <= 1:
            raise FieldError(
                "BAD_CONFIG",
                f"expected features >= 1 and strength from 0 to 1, got {features} and {strength}.",
                next_step="Use 0.1.",
            )
        self.strength = strength
        self.query = nnx.Linear(features, features, use_bias=False, rngs=rngs)
        self.key = nnx.Linear(features, features, use_bias=False, rngs=rngs)
        self.value = nnx.Linear(features, features, use_bias=False, rngs=rngs)

    def __call__(self, x: Float[Array, "b t d"]) -> tuple[Float[Array, "b t d"], Float[Array, ""]]:
        weights = self.weights(x)
        energy = self.strength * jnp.var(weights, axis=(-2, -1)).mean()
        return weights @ self.value(x), energy

    def weights(self, x: Float[Array, "b t d"]) -> Float[Array, "b t t"]:
        """A; its rows sum to 1."""
        scores = jnp.einsum("bqd,bkd->bqk", self.query(x), self.key(x))
        return jax.nn.softmax(scores / jnp.sqrt(jnp.asarray(x.shape[-1], x.dtype)), axis=-1)
