"""Two encoder paths and one skip-connected decoder.

The energy path reads the field and its hints; its pyramid of area means enters again at each coarser level. The
gradient path, half as wide, reads slopes and displacements. Both work at 1/2, 1/4 and 1/8 of the resolution (space to
depth instead of strides, so that no cell is skipped); any height and width divisible by 8 will do, and the same weights
serve all of them.

References: Ronneberger et al., U-Net, MICCAI (2015); He et al., Identity mappings in deep residual networks (2016).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from nvp.model.film import FiLM, Fusion, dropout
from nvp.model.padding import Boundaries, Conv

LEVELS = 3
# gain of the last convolution of a residual block: near the identity at first, which replaces normalisation
_QUIET = 0.2


def to_depth(field: Float[Array, "b h w c"]) -> Float[Array, "b h_half w_half c_four"]:
    """2 × 2 cells → one cell of four times the channels."""
    b, h, w, c = field.shape
    blocks = field.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(b, h // 2, w // 2, 4 * c)


def to_space(field: Float[Array, "b h w c_four"]) -> Float[Array, "b h_twice w_twice c"]:
    """The inverse of `to_depth`."""
    b, h, w, c = field.shape
    blocks = field.reshape(b, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(b, 2 * h, 2 * w, c // 4)


def coarser(field: Float[Array, "b h w c"]) -> Float[Array, "b h_half w_half c"]:
    """Area mean of 2 × 2 cells."""
    b, h, w, c = field.shape
    return field.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))


class Block(nnx.Module):
    """x + conv(silu(conv(silu(x))))."""

    # compute it again in the backward pass instead of keeping what it needs
    remat: bool = False

    def __init__(self, width: int, *, boundaries: Boundaries, rng: np.random.Generator) -> None:
        self.first = Conv(width, width, boundaries=boundaries, rng=rng)
        self.second = Conv(width, width, boundaries=boundaries, gain=_QUIET, rng=rng)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        return x + (jax.checkpoint(self._change) if self.remat else self._change)(x)

    def _change(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        change: Float[Array, "b h w c"] = self.second(jax.nn.silu(self.first(jax.nn.silu(x))))
        return change


class Encoder(nnx.Module):
    """One path: features at 1/2, 1/4 and 1/8 of the resolution; `pyramid` adds the input's area means at each level."""

    def __init__(
        self,
        channels: int,
        widths: tuple[int, ...],
        *,
        blocks: int,
        pyramid: bool,
        boundaries: Boundaries,
        rng: np.random.Generator,
    ) -> None:
        self.pyramid = pyramid
        inputs = [4 * channels] + [4 * width + (channels if pyramid else 0) for width in widths[:-1]]
        self.enter = nnx.List(
            [
                Conv(given, width, kernel=1 if level else 3, boundaries=boundaries, rng=rng)
                for level, (given, width) in enumerate(zip(inputs, widths, strict=True))
            ]
        )
        self.blocks = nnx.List(
            [nnx.List([Block(w, boundaries=boundaries, rng=rng) for _ in range(blocks)]) for w in widths]
        )

    def __call__(self, field: Float[Array, "b h w c"]) -> list[Array]:
        levels: list[Array] = []
        x, coarse = field, coarser(field)
        for enter, blocks in zip(self.enter, self.blocks, strict=True):
            x = to_depth(x)
            if levels and self.pyramid:
                coarse = coarser(coarse)
                x = jnp.concatenate([x, coarse], axis=-1)
            x = enter(x)
            for block in blocks:
                x = block(x)
            levels.append(x)
        return levels


class Decoder(nnx.Module):
    """From the deepest level back to the full resolution, past the skips of both paths, conditioned by z_t."""

    def __init__(
        self,
        widths: tuple[int, ...],
        side: tuple[int, ...],
        outputs: int,
        *,
        blocks: int,
        latent: int,
        boundaries: Boundaries,
        rng: np.random.Generator,
    ) -> None:
        depth = len(widths)
        above = [widths[level + 1] if level + 1 < depth else 0 for level in range(depth)]
        # from the level above, doubled in resolution
        self.lift = nnx.List(
            [
                Conv(above[level], 4 * widths[level], kernel=1, boundaries=boundaries, rng=rng)
                for level in range(depth - 1)
            ]
        )
        self.merge = nnx.List(
            [
                Conv(
                    widths[level] + side[level] + (widths[level] if level + 1 < depth else 0),
                    widths[level],
                    kernel=1,
                    boundaries=boundaries,
                    rng=rng,
                )
                for level in range(depth)
            ]
        )
        self.film = nnx.List([FiLM(latent, width, rng=rng) for width in widths])
        self.blocks = nnx.List(
            [nnx.List([Block(w, boundaries=boundaries, rng=rng) for _ in range(blocks)]) for w in widths]
        )
        self.leave = Conv(widths[0], 4 * outputs, boundaries=boundaries, gain=0.0, rng=rng)

    def __call__(
        self, energy: list[Array], gradient: list[Array], z: Float[Array, "b z"]
    ) -> Float[Array, "b h w outputs"]:
        x = energy[-1]
        for level in reversed(range(len(energy))):
            parts = [energy[level], gradient[level]]
            if level < len(energy) - 1:
                parts.append(to_space(self.lift[level](x)))
            x = self.film[level](self.merge[level](jnp.concatenate(parts, axis=-1)), z)
            for block in self.blocks[level]:
                x = block(x)
        return to_space(self.leave(jax.nn.silu(x)))


class UNet(nnx.Module):
    """Fields of both paths and scalars → one field per output; all outputs are 0 untrained."""

    def __init__(
        self,
        *,
        energy_channels: int,
        gradient_channels: int,
        scalars: int,
        outputs: int,
        widths: tuple[int, ...],
        blocks: int,
        latent: int,
        dropout: float,
        boundaries: Boundaries,
        rng: np.random.Generator,
        noise: int = 0,
    ) -> None:
        side = tuple(width // 2 for width in widths)
        self.dropout = dropout
        self.energy = Encoder(energy_channels, widths, blocks=blocks, pyramid=True, boundaries=boundaries, rng=rng)
        self.gradient = Encoder(gradient_channels, side, blocks=blocks, pyramid=False, boundaries=boundaries, rng=rng)
        self.fusion = Fusion(widths[-1] + side[-1], scalars, latent, noise=noise, rng=rng)
        self.decoder = Decoder(widths, side, outputs, blocks=blocks, latent=latent, boundaries=boundaries, rng=rng)

    def __call__(
        self,
        energy: Float[Array, "b h w e"],
        gradient: Float[Array, "b h w g"],
        scalars: Float[Array, "b s"],
        key: PRNGKeyArray | None = None,
        noise: Float[Array, "b n"] | None = None,
    ) -> Float[Array, "b h w outputs"]:
        of_energy, of_gradient = self.energy(energy), self.gradient(gradient)
        keys = (None,) * 4 if key is None else jax.random.split(key, 4)
        z = self.fusion(jnp.concatenate([of_energy[-1], of_gradient[-1]], axis=-1), scalars, noise)
        z = dropout(z, self.dropout, keys[0])
        of_energy = [dropout(level, self.dropout, k) for level, k in zip(of_energy, keys[1:], strict=True)]
        outputs: Float[Array, "b h w outputs"] = self.decoder(of_energy, of_gradient, z)
        return outputs
