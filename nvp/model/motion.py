"""Motion that the last frames show: the velocity under which the recent changes of a field were mere transport.

∂E/∂t + v·∇E = 0 is solved for v by least squares over a Gaussian window around each cell, with a small penalty on
|v|² where the field is flat.

Reference: Lucas & Kanade, An iterative image registration technique, IJCAI (1981).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nvp.model.hints import slopes
from nvp.model.padding import Boundaries, pad_axis

# standard deviations (cells) of the smoothing before differences are taken and of the window of the fit
_SMOOTHING = 0.7
_WINDOW = 5.0
# penalty on |v|², relative to the mean squared slope of the field
_PENALTY = 0.05


def motion(
    frames: list[Float[Array, "b h w c"]], changes: list[Float[Array, "b h w c"]], boundaries: Boundaries
) -> Float[Array, "b h w c 2"]:
    """Velocity (x, y) in cells per step for each channel.

    `frames` are E_t, E_{t-1}, …; `changes` the differences between neighbours among them, latest first.
    """
    xx = xy = yy = tx = ty = jnp.zeros_like(frames[0])
    for newer, older, change in zip(frames[:-1], frames[1:], changes, strict=True):
        gx, gy = slopes(blur(0.5 * (newer + older), _SMOOTHING, boundaries), boundaries)
        rate = blur(change, _SMOOTHING, boundaries)
        xx, xy, yy = xx + gx * gx, xy + gx * gy, yy + gy * gy
        tx, ty = tx - gx * rate, ty - gy * rate
    penalty = _PENALTY * jnp.mean(xx + yy, axis=(1, 2), keepdims=True) + 1e-12
    xx, xy, yy, tx, ty = (blur(term, _WINDOW, boundaries) for term in (xx, xy, yy, tx, ty))
    xx, yy = xx + penalty, yy + penalty
    determinant = xx * yy - xy * xy
    return jnp.stack([(yy * tx - xy * ty) / determinant, (xx * ty - xy * tx) / determinant], axis=-1)


def blur(field: Float[Array, "b h w c"], width: float, boundaries: Boundaries) -> Float[Array, "b h w c"]:
    """Gaussian filter of standard deviation `width` cells."""
    radius = max(1, round(2.5 * width))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / width) ** 2)
    weights /= weights.sum()
    b, h, w, c = field.shape
    planes = jnp.moveaxis(field, -1, 1).reshape(b * c, h, w, 1)
    for axis, boundary in zip((1, 2), boundaries, strict=True):
        kernel = jnp.asarray(weights, field.dtype).reshape(*((-1, 1) if axis == 1 else (1, -1)), 1, 1)
        planes = jax.lax.conv_general_dilated(
            pad_axis(planes, radius, boundary, axis=axis),
            kernel,
            (1, 1),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
    return jnp.moveaxis(planes.reshape(b, c, h, w), 1, -1)
