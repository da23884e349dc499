"""Descriptor: 64 numbers that say what a field looks like, for similarity search in the graph.

They do not change when the field is multiplied by a positive number, hardly change with its resolution, and are of
unit length, so that the cosine between two of them compares shapes. The layout is fixed by `VERSION`:

    0 … 39   log radial power spectrum, as shares of the variance, at 40 wave numbers spaced evenly in log k
    40 … 51  moments: coefficient of variation, skewness, kurtosis; nine quantiles of (E − mean)/std
    52 … 63  gradients: roughness, anisotropy, diagonal correlation, curvature, skewness of the squared gradient;
             seven quantiles of |∇E|/rms

Reference: the radial spectrum is that of Kolmogorov's theory, Pope, Turbulent Flows (2000), ch. 6.
"""

from __future__ import annotations

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
    mean = fields.mean(axis=(1, 2), keepdims=True)
    size = np.sqrt(np.mean(fields**2, axis=(1, 2), keepdims=True))
    std = fields.std(axis=(1, 2), keepdims=True)
    flat = std <= _FLAT * size
    # a flat field has no shape: all its deviations are taken as 0
    shape = np.where(flat, 0.0, (fields - mean) / np.where(flat, 1.0, std))
    spread = np.where(flat, 0.0, std / np.where(size > 0, size, 1.0))[:, 0, 0]
    found = np.concatenate([_spectrum(shape), _moments(shape, spread), _gradients(shape)], axis=1)
    unit: Float32[np.ndarray, "t 64"] = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _spectrum(shape: Float[np.ndarray, "t h w"]) -> Float[np.ndarray, "t 40"]:
    T, H, W = shape.shape
    shell, weight = _shells(H, W)
    power = np.abs(np.fft.rfft2(shape)) ** 2 * (weight / (H * W) ** 2)
    shells = min(H, W) // 2
    # (T, H·(W/2+1)) → (T, K): one matrix product sums every shell of every field
    member = (shell.reshape(-1, 1) == np.arange(1, shells + 1)).astype(float)
    log_power = np.log10(power.reshape(T, -1) @ member + _FLOOR)
    at = np.geomspace(1.0, shells, _WAVES)
    left = np.clip(at.astype(int), 1, max(shells - 1, 1))
    right = np.minimum(left + 1, shells)
    part = at - left
    between = (1 - part) * log_power[:, left - 1] + part * log_power[:, right - 1]
    # log shares lie in [-8, 0]: centre and scale them, and let 40 numbers weigh as much as one group of 12
    result: np.ndarray = (between + 4.0) / 4.0 * np.sqrt(12 / _WAVES)
    return result


def _shells(H: int, W: int) -> tuple[Int[np.ndarray, "h w2"], Float[np.ndarray, "1 w2"]]:
    """Shell of each coefficient of `rfft2`, in waves per shorter side, and how many coefficients of `fft2` it is."""
    side = min(H, W)
    ky = np.fft.fftfreq(H)[:, None] * side
    kx = np.fft.rfftfreq(W)[None, :] * side
    twice = np.full((1, W // 2 + 1), 2.0)
    twice[0, 0] = 1.0
    if W % 2 == 0:
        twice[0, -1] = 1.0
    return np.rint(np.hypot(ky, kx)).astype(int), twice


def _moments(shape: Float[np.ndarray, "t h w"], spread: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t 12"]:
    # products and not powers: NumPy's float power is 30 times slower
    square = shape * shape
    skewness = np.mean(square * shape, axis=(1, 2))
    kurtosis = np.mean(square * square, axis=(1, 2)) - 3.0
    first = np.stack([spread, np.arcsinh(skewness) / 2, np.arcsinh(kurtosis) / 3], axis=1)
    return np.concatenate([first, _quantiles(shape, _QUANTILES) / 3], axis=1)


def _gradients(shape: Float[np.ndarray, "t h w"]) -> Float[np.ndarray, "t 12"]:
    # differences to the next cell, on the cells that have one in both directions
    gy = np.diff(shape, axis=1)[:, :, :-1]
    gx = np.diff(shape, axis=2)[:, :-1, :]
    yy, xx = np.mean(gy**2, axis=(1, 2)), np.mean(gx**2, axis=(1, 2))
    both = yy + xx
    scale = np.where(both > 0, both, 1.0)
    diagonal = 2 * np.mean(gy * gx, axis=(1, 2)) / scale
    squared = (gy**2 + gx**2) / scale[:, None, None]
    curvature = np.mean(np.diff(gy, axis=1) ** 2, axis=(1, 2)) + np.mean(np.diff(gx, axis=2) ** 2, axis=(1, 2))
    first = np.stack(
        [
            np.log10(both + 1e-4) / 2,
            (yy - xx) / scale,
            diagonal,
            curvature / scale / 4,
            np.arcsinh(np.mean(squared**2, axis=(1, 2)) - 2.0) / 3,
        ],
        axis=1,
    )
    return np.concatenate([first, _quantiles(np.sqrt(squared), _GRADIENT_QUANTILES) / 3], axis=1)


def _quantiles(values: Float[np.ndarray, "t h w"], at: Float[np.ndarray, "q"]) -> Float[np.ndarray, "t q"]:
    # one sort in float32 serves all quantiles; np.quantile would partition once for each
    ordered = np.sort(values.reshape(len(values), -1).astype(np.float32), axis=1)
    return ordered[:, np.rint(at * (ordered.shape[1] - 1)).astype(int)].astype(float)
