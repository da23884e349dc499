"""The fused state z_t, and how it conditions the decoder.

Both paths' deepest features, averaged over the field, and what is known as numbers (parameters, calendar, dt) become
one vector; each decoder level is then scaled and shifted by a linear map of it.

Reference: Perez et al., FiLM: visual reasoning with a general conditioning layer, AAAI (2018).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from nvp.model.noise import NoiseInput
from nvp.model.padding import initial


class Linear(nnx.Module):
    """A linear map of vectors."""

    def __init__(self, features_in: int, features: int, *, gain: float, rng: np.random.Generator) -> None:
        self.kernel = nnx.Param(initial(rng, (features_in, features), gain))
        self.bias = nnx.Param(jnp.zeros(features))

    def __call__(self, values: Float[Array, "b f"]) -> Float[Array, "b g"]:
        return values @ self.kernel[...] + self.bias[...][None]


class Fusion(nnx.Module):
    """Pooled features of both paths, the scalars and a member's noise → z_t."""

    def __init__(self, features: int, scalars: int, latent: int, *, noise: int = 0, rng: np.random.Generator) -> None:
        self.dense = Linear(features + scalars, latent, gain=1.0, rng=rng)
        self.noise = NoiseInput(noise, latent) if noise else None

    def __call__(
        self,
        deepest: Float[Array, "b h w f"],
        scalars: Float[Array, "b s"],
        noise: Float[Array, "b n"] | None = None,
    ) -> Float[Array, "b z"]:
        pooled = jnp.concatenate([deepest.mean(axis=(1, 2)), scalars], axis=-1)
        mixed = self.dense(pooled)
        if self.noise is not None and noise is not None:
            mixed = mixed + self.noise(noise)
        fused: Float[Array, "b z"] = jax.nn.silu(mixed)
        return fused


class FiLM(nnx.Module):
    """features · (1 + scale(z)) + shift(z); untrained it changes nothing."""

    def __init__(self, latent: int, features: int, *, rng: np.random.Generator) -> None:
        self.dense = Linear(latent, 2 * features, gain=0.0, rng=rng)

    def __call__(self, features: Float[Array, "b h w f"], z: Float[Array, "b z"]) -> Float[Array, "b h w f"]:
        scale, shift = jnp.split(self.dense(z)[:, None, None, :], 2, axis=-1)
        return features * (1 + scale) + shift


def dropout(features: Float[Array, "b *rest"], share: float, key: PRNGKeyArray | None) -> Float[Array, "b *rest"]:
    """Set a random share of the channels to 0 and scale the others up; as is without a key."""
    if key is None or share == 0:
        return features
    shape = (features.shape[0], *(1,) * (features.ndim - 2), features.shape[-1])
    return jnp.where(jax.random.bernoulli(key, 1 - share, shape), features / (1 - share), 0.0)
