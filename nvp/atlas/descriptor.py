"""Descriptor: 64 numbers that say what a field looks like, for similarity search in the graph.

They do not change when the field is multiplied by a positive number, hardly change with its resolution, and are of
unit length, so that the cosine between two of them compares shapes. Mean and size of the field are taken in double
precision, its shape in single. The layout is fixed by `VERSION`:

    0 … 39   log radial power spectrum, as shares of the variance, at 40 wave numbers spaced evenly in log k
    40 … 51  moments: coefficient of variation, skewness, kurtosis; nine quantiles of (E − mean)/std
    52 … 63  gradients: roughness, anisotropy, diagonal correlation, curvature, skewness of the squared gradient;
             seven quantiles of |∇E|/rms

Reference: the radial spectrum is that of Kolmogorov's theory, Pope, Turbulent Flows (2000), ch. 6.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float32, Int

VERSION = 1
SIZE = 64

_WAVES = 40
_QUANTILES = np.array([0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99])
_GRADIENT_QUANTILES = np.array([0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99])
# shares of the variance below this are not told apart; also the spectrum of a flat field
_FLOOR = 1e-8
# a standard deviation below this share of the field's size is rounding of float32
_FLAT = 1e-6


def descriptors(fields: Float[np.ndarray, "t h w"]) -> Float32[np.ndarray, "t 64"]:
    """One descriptor per field; H, W >= 2."""
    shape, spread = standardised(fields)
    return describe(shape, spread, shell_shares(shape))


def describe(
    shape: Float32[np.ndarray, "t h w"], spread: Float[np.ndarray, "t"], shares: Float[np.ndarray, "t k"]
) -> Float32[np.ndarray, "t 64"]:
    """The descriptor of each field, given what `standardised` and `shell_shares` found."""
    found = np.concatenate([_spectrum(shares), _moments(shape, spread), _gradients(shape)], axis=1)
    unit: Float32[np.ndarray, "t 64"] = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
    return unit


def standardised(
    fields: Float[np.ndarray, "t h w"],
) -> tuple[Float32[np.ndarray, "t h w"], Float[np.ndarray, "t"]]:
    """(E − mean)/std of each field, and its standard deviation as a share of its root mean square."""
    mean = fields.mean(axis=(1, 2), keepdims=True)
    size = np.sqrt(np.mean(fields**2, axis=(1, 2), keepdims=True))
    std = fields.std(axis=(1, 2), keepdims=True)
    flat = std <= _FLAT * size
    # a flat field has no shape: all its deviations are taken as 0
    shape = ((fields - mean) * np.where(flat, 0.0, 1.0 / np.where(flat, 1.0, std))).astype(np.float32)
    return shape, np.where(flat, 0.0, std / np.where(size > 0, size, 1.0))[:, 0, 0]


def shell_shares(shape: Float32[np.ndarray, "t h w"]) -> Float[np.ndarray, "t k"]:
    """Radial power spectrum: the share of the variance at k = 1 … side/2 waves per shorter side."""
    T, H, W = shape.shape
    amplitude = np.fft.rfft2(shape).reshape(T, -1)
    power = amplitude.real**2 + amplitude.imag**2
    order, weight, starts = _shells(H, W)
    return np.add.reduceat(power[:, order] * weight, starts, axis=1).astype(float)


def _spectrum(shares: Float[np.ndarray, "t k"]) -> Float[np.ndarray, "t 40"]:
    log_power = np.log10(shares + _FLOOR)
    shells = shares.shape[1]
    at = np.geomspace(1.0, shells, _WAVES)
    left = np.clip(at.astype(int), 1, max(shells - 1, 1))
    right = np.minimum(left + 1, shells)
    part = at - left
    between = (1 - part) * log_power[:, left - 1] + part * log_power[:, right - 1]
    # log shares lie in [-8, 0]: centre and scale them, and let 40 numbers weigh as much as one group of 12
    result: np.ndarray = (between + 4.0) / 4.0 * np.sqrt(12 / _WAVES)
    return result


@lru_cache(maxsize=8)
def _shells(H: int, W: int) -> tuple[Int[np.ndarray, "c"], Float32[np.ndarray, "c"], Int[np.ndarray, "k"]]:
    """Coefficients of `rfft2` by shell, in waves per shorter side; their weights; where each shell begins."""
    side = min(H, W)
    ky = np.fft.fftfreq(H)[:, None] * side
    kx = np.fft.rfftfreq(W)[None, :] * side
    # `fft2` has most of these coefficients twice; |coefficient|² / (H·W)² is its share of the variance
    twice = np.full((1, W // 2 + 1), 2.0)
    twice[0, 0] = 1.0
    if W % 2 == 0:
        twice[0, -1] = 1.0
    shell = np.rint(np.hypot(ky, kx)).astype(int).ravel()
    order = np.argsort(shell, kind="stable")
    order = order[(shell[order] >= 1) & (shell[order] <= side // 2)]
    weight = np.broadcast_to(twice / (H * W) ** 2, (H, W // 2 + 1)).ravel()[order].astype(np.float32)
    return order, weight, np.searchsorted(shell[order], np.arange(1, side // 2 + 1))


def _moments(shape: Float32[np.ndarray, "t h w"], spread: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t 12"]:
    # products and not powers: NumPy's float power is 30 times slower
    square = shape * shape
    skewness = _mean_product(square, shape)
    kurtosis = _mean_product(square, square) - 3.0
    first = np.stack([spread, np.arcsinh(skewness) / 2, np.arcsinh(kurtosis) / 3], axis=1)
    return np.concatenate([first, _quantiles(shape, _QUANTILES) / 3], axis=1)


def _gradients(shape: Float32[np.ndarray, "t h w"]) -> Float[np.ndarray, "t 12"]:
    # differences to the next cell, on the cells that have one in both directions
    gy = shape[:, 1:, :-1] - shape[:, :-1, :-1]
    gx = shape[:, :-1, 1:] - shape[:, :-1, :-1]
    yy, xx = _mean_product(gy, gy), _mean_product(gx, gx)
    both = yy + xx
    scale = np.where(both > 0, both, 1.0)
    diagonal = 2 * _mean_product(gy, gx) / scale
    squared = (gy * gy + gx * gx) / scale[:, None, None].astype(np.float32)
    bend_y, bend_x = gy[:, 1:] - gy[:, :-1], gx[:, :, 1:] - gx[:, :, :-1]
    curvature = _mean_product(bend_y, bend_y) + _mean_product(bend_x, bend_x)
    first = np.stack(
        [
            np.log10(both + 1e-4) / 2,
            (yy - xx) / scale,
            diagonal,
            curvature / scale / 4,
            np.arcsinh(_mean_product(squared, squared) - 2.0) / 3,
        ],
        axis=1,
    )
    # the root of a quantile is the quantile of the root
    return np.concatenate([first, np.sqrt(_quantiles(squared, _GRADIENT_QUANTILES)) / 3], axis=1)


def _mean_product(a: Float32[np.ndarray, "t h w"], b: Float32[np.ndarray, "t h w"]) -> Float[np.ndarray, "t"]:
    # a row by a row, summed in double: neither a temporary array nor the rounding of a long sum
    found: np.ndarray = np.vecdot(a, b).mean(axis=1, dtype=float) / a.shape[2]
    return found


def _quantiles(values: Float32[np.ndarray, "t h w"], at: Float[np.ndarray, "q"]) -> Float[np.ndarray, "t q"]:
    # one sort serves all quantiles; np.quantile would partition once for each
    ordered = np.sort(values.reshape(len(values), -1), axis=1)
    return ordered[:, np.rint(at * (ordered.shape[1] - 1)).astype(int)].astype(float)
