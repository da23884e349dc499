"""What lies beyond the edge: the other side of a periodic axis, the edge's own value at walls and open edges."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from nvp.dynamics.domain import Boundary
from nvp.model.config import Compute

Boundaries = tuple[Boundary, Boundary]
"""Boundaries along y and x, as the axes come in an array."""


def pad(field: Float[Array, "b h w c"], width: int, boundaries: Boundaries) -> Float[Array, "b h_padded w_padded c"]:
    """Add `width` cells on each side."""
    return pad_axis(pad_axis(field, width, boundaries[0], axis=1), width, boundaries[1], axis=2)


def pad_axis(field: Float[Array, "b _ _ *c"], width: int, boundary: Boundary, *, axis: int) -> Float[Array, "b _ _ *c"]:
    """Add `width` cells on both sides of one axis; a periodic axis shorter than `width` goes round several times."""
    size = field.shape[axis]
    if width == 0:
        return field
    if boundary == "periodic":
        return (
            jnp.take(field, jnp.arange(-width, size + width) % size, axis=axis)
            if width > size
            else _wrap(field, width, axis)
        )
    first = jnp.take(field, jnp.zeros(width, int), axis=axis)
    last = jnp.take(field, jnp.full(width, size - 1), axis=axis)
    return jnp.concatenate([first, field, last], axis=axis)


def shifted(field: Float[Array, "b _ _ *c"], by: int, boundary: Boundary, *, axis: int) -> Float[Array, "b _ _ *c"]:
    """The neighbour `by` cells ahead along one axis, for each cell."""
    size = field.shape[axis]
    padded = pad_axis(field, abs(by), boundary, axis=axis)
    return _cut(padded, abs(by) + by, abs(by) + by + size, axis)


class Conv(nnx.Module):
    """A convolution that keeps the shape and knows the boundaries; a kernel of one cell is a map of the channels."""

    # type of its products; what it is given and gives is float32
    compute: Compute = "float32"

    def __init__(
        self,
        features_in: int,
        features: int,
        *,
        kernel: int = 3,
        boundaries: Boundaries,
        gain: float = 1.0,
        rng: np.random.Generator,
    ) -> None:
        self.kernel = nnx.Param(initial(rng, (kernel, kernel, features_in, features), gain))
        self.bias = nnx.Param(jnp.zeros(features))
        self.width = kernel // 2
        self.boundaries = boundaries

    def __call__(self, field: Float[Array, "b h w _"]) -> Float[Array, "b h w _"]:
        result = jax.lax.conv_general_dilated(
            pad(field.astype(self.compute), self.width, self.boundaries),
            self.kernel[...].astype(self.compute),
            (1, 1),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return result.astype(field.dtype) + self.bias[...][None, None, None]


def initial(rng: np.random.Generator, shape: tuple[int, ...], gain: float) -> Float[Array, "..."]:
    """Normal weights of variance gain² / fan-in, drawn on the host: the same everywhere, and nothing to compile."""
    fan_in = math.prod(shape[:-1])
    return jnp.asarray((gain / math.sqrt(fan_in) * rng.standard_normal(shape)).astype(np.float32))


def _wrap(field: Float[Array, "b _ _ *c"], width: int, axis: int) -> Float[Array, "b _ _ *c"]:
    size = field.shape[axis]
    return jnp.concatenate([_cut(field, size - width, size, axis), field, _cut(field, 0, width, axis)], axis=axis)


def _cut(field: Float[Array, "b _ _ *c"], start: int, stop: int, axis: int) -> Float[Array, "b _ _ *c"]:
    return field[:, start:stop] if axis == 1 else field[:, :, start:stop]
