"""The literal layout: two encoders, one dense bottleneck, two decoders, without skips.

    energy    (b, h, w, 1) → 3 × (convolution 3×3 of stride 2 → BatchNorm → GELU → residual block)  64, 128, 256
    gradient  (b, h, w, 2) → the same
    flatten, join → Dense 512 → GELU → Dropout 0.1 = z_t
    z_t → Dense → 3 × (transposed convolution 3×3 of stride 2 → BatchNorm → GELU → residual block) 256, 128, 64 → 1×1
          once for the mean, once for the log-variance

The dense layers tie the weights to one grid and hold nearly all parameters: 546.3 M at 256². Nothing anchors its
output: neither the total nor the sign of the energy is kept, and untrained it is not persistence. It is here to be
compared with.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from nvp.model.literal_config import LiteralConfig


class ResidualBlock(nnx.Module):
    """GELU(skip + BN(conv(GELU(BN(conv(x)))))); the skip is a map of the channels where their number changes."""

    def __init__(self, given: int, features: int, *, rngs: nnx.Rngs) -> None:
        self.first = nnx.Conv(given, features, (3, 3), rngs=rngs)
        self.first_norm = nnx.BatchNorm(features, rngs=rngs)
        self.second = nnx.Conv(features, features, (3, 3), rngs=rngs)
        self.second_norm = nnx.BatchNorm(features, rngs=rngs)
        self.project = nnx.Conv(given, features, (1, 1), rngs=rngs) if given != features else None

    def __call__(self, x: Float[Array, "b h w c"], *, training: bool) -> Float[Array, "b h w d"]:
        change = jax.nn.gelu(self.first_norm(self.first(x), use_running_average=not training))
        change = self.second_norm(self.second(change), use_running_average=not training)
        return jax.nn.gelu(change + (x if self.project is None else self.project(x)))


class Stage(nnx.Module):
    """One step of an encoder (`up` false) or decoder: resample by 2, normalise, activate, refine."""

    def __init__(self, given: int, features: int, *, up: bool, residual: bool, rngs: nnx.Rngs) -> None:
        kind = nnx.ConvTranspose if up else nnx.Conv
        self.resample = kind(given, features, (3, 3), strides=(2, 2), rngs=rngs)
        self.norm = nnx.BatchNorm(features, rngs=rngs)
        self.block = ResidualBlock(features, features, rngs=rngs) if residual else None

    def __call__(self, x: Float[Array, "b h w c"], *, training: bool) -> Float[Array, "b _ _ d"]:
        x = jax.nn.gelu(self.norm(self.resample(x), use_running_average=not training))
        return x if self.block is None else self.block(x, training=training)


class LiteralEncoder(nnx.Module):
    """A field → its deepest features, flattened."""

    def __init__(self, channels: int, config: LiteralConfig, *, rngs: nnx.Rngs) -> None:
        given = (channels, *config.encoder_features[:-1])
        self.stages = nnx.List(
            [
                Stage(before, features, up=False, residual=config.use_residual, rngs=rngs)
                for before, features in zip(given, config.encoder_features, strict=True)
            ]
        )

    def __call__(self, x: Float[Array, "b h w c"], *, training: bool) -> Float[Array, "b f"]:
        for stage in self.stages:
            x = stage(x, training=training)
        return x.reshape(x.shape[0], -1)


class LiteralDecoder(nnx.Module):
    """z_t → a map."""

    def __init__(self, config: LiteralConfig, *, rngs: nnx.Rngs) -> None:
        self.shape = (*config.coarse_shape, config.encoder_features[-1])
        self.dense = nnx.Linear(config.latent_dim, math.prod(self.shape), rngs=rngs)
        given = (config.encoder_features[-1], *config.decoder_features[:-1])
        self.stages = nnx.List(
            [
                Stage(before, features, up=True, residual=config.use_residual, rngs=rngs)
                for before, features in zip(given, config.decoder_features, strict=True)
            ]
        )
        self.leave = nnx.Conv(config.decoder_features[-1], 1, (1, 1), rngs=rngs)

    def __call__(self, z: Float[Array, "b z"], *, training: bool) -> Float[Array, "b h w 1"]:
        x = self.dense(z).reshape(-1, *self.shape)
        for stage in self.stages:
            x = stage(x, training=training)
        return self.leave(x)


class LiteralNVP(nnx.Module):
    """Energy and its gradient → mean and log-variance of the next energy."""

    def __init__(self, config: LiteralConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.energy = LiteralEncoder(1, config, rngs=rngs)
        self.gradient = LiteralEncoder(2, config, rngs=rngs)
        features = 2 * math.prod(config.coarse_shape) * config.encoder_features[-1]
        self.fusion = nnx.Linear(features, config.latent_dim, rngs=rngs)
        self.mean = LiteralDecoder(config, rngs=rngs)
        self.log_var = LiteralDecoder(config, rngs=rngs)

    def __call__(
        self, energy: Float[Array, "b h w 1"], gradient: Float[Array, "b h w 2"], key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, "b h w 1"], Float[Array, "b h w 1"]]:
        """With a key it trains: batch statistics, which update the running ones, and dropout drawn from the key."""
        training = key is not None
        paths = [self.energy(energy, training=training), self.gradient(gradient, training=training)]
        z = jax.nn.gelu(self.fusion(jnp.concatenate(paths, axis=-1)))
        rate = self.config.dropout_rate
        if key is not None and rate > 0:
            z = jnp.where(jax.random.bernoulli(key, 1 - rate, z.shape), z / (1 - rate), jnp.zeros_like(z))
        return self.mean(z, training=training), self.log_var(z, training=training)


def abstract(config: LiteralConfig) -> LiteralNVP:
    """The network's shapes without its 2 GB of numbers."""
    found: LiteralNVP = nnx.eval_shape(lambda: LiteralNVP(config, rngs=nnx.Rngs(0)))
    return found


def sizes(config: LiteralConfig) -> dict[str, int]:
    """Trained numbers of each part."""
    model = abstract(config)

    def size(part: nnx.Module) -> int:
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(part, nnx.Param)))

    names = ("energy", "gradient", "fusion", "mean", "log_var")
    return {name: size(getattr(model, name)) for name in names} | {"total": size(model)}
