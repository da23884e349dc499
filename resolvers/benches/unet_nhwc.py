"""pdequinox's UNet with its channels last: the same numbers in the layout that a CPU's convolutions prefer.

It tells how much of a difference in speed is layout alone. Weights are taken from the original, so that both say the
same (a test compares them).

Reference: Ronneberger et al., U-Net, MICCAI (2015); Wu & He, Group normalization, ECCV (2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_EPSILON = 1e-5
Weights = Mapping[str, Any]


def port(net: Any) -> Weights:
    """Weights of a pdequinox ClassicUNet, each kernel as (height, width, in, out)."""
    return {
        "lift": _double(net.lifting),
        "down": [_convolution(block) for block in net.down_sampling_blocks],
        "left": [_double(blocks[0]) for blocks in net.left_arc_blocks],
        "up": [_convolution(block) for block in net.up_sampling_blocks],
        "right": [_double(blocks[0]) for blocks in net.right_arc_blocks],
        "project": _convolution(net.projection),
    }


def apply(weights: Weights, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """What the original says, of a batch."""
    x = _twice(weights["lift"], x)
    skips = []
    for down, left in zip(weights["down"], weights["left"], strict=True):
        skips.append(x)
        x = _twice(left, _convolve(down, x, stride=2))
    for up, right in zip(reversed(weights["up"]), reversed(weights["right"]), strict=True):
        x = _twice(right, jnp.concatenate([skips.pop(), _enlarge(up, x)], axis=-1))
    return _convolve(weights["project"], x, stride=1)


def _double(block: Any) -> Weights:
    return {
        "convolutions": [_convolution(block.conv_1), _convolution(block.conv_2)],
        "norms": [(norm.weight, norm.bias) for norm in (block.norm_1, block.norm_2)],
    }


def _convolution(layer: Any) -> tuple[Array, Array]:
    return jnp.transpose(layer.weight, (2, 3, 1, 0)), layer.bias.reshape(-1)


def _twice(weights: Weights, x: Array) -> Array:
    """Convolve, normalise over all of an example, keep what is positive; two times."""
    for convolution, (scale, shift) in zip(weights["convolutions"], weights["norms"], strict=True):
        x = _convolve(convolution, x, stride=1)
        mean = jnp.mean(x, axis=(1, 2, 3), keepdims=True)
        variance = jnp.var(x, axis=(1, 2, 3), keepdims=True)
        x = jax.nn.relu((x - mean) * jax.lax.rsqrt(variance + _EPSILON) * scale + shift)
    return x


def _convolve(convolution: tuple[Array, Array], x: Array, *, stride: int) -> Array:
    kernel, bias = convolution
    width = kernel.shape[0] // 2
    padded = jnp.pad(x, ((0, 0), (width, width), (width, width), (0, 0)), mode="wrap") if width else x
    return _conv(padded, kernel, strides=(stride, stride), padding="VALID") + bias


def _enlarge(convolution: tuple[Array, Array], x: Array) -> Array:
    """Transposed convolution of stride 2: zeros between the cells, then a convolution, all of it periodic."""
    kernel, bias = convolution
    wrapped = jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)), mode="wrap")
    return _conv(wrapped, kernel, lhs_dilation=(2, 2), padding=((1, 0), (1, 0))) + bias


def _conv(x: Array, kernel: Array, **how: Any) -> Array:
    how = {"strides": (1, 1), **how}
    strides = how.pop("strides")
    padding = how.pop("padding")
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"), **how)
