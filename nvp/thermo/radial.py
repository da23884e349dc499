"""The radial power spectrum: how much of a field's variance lies at which wave number.

Shells are one wave per shorter side wide. Fields that are not periodic along an axis are tapered along it (Hann), or
the jump at the edge would pass for structure at every scale.

Reference: Pope, Turbulent Flows (2000), ch. 6.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from nvp.dynamics.domain import Boundary


class Spectrum(NamedTuple):
    """Σ density · width over the shells is the variance of the (tapered) field."""

    # waves per cell at the centre of each shell
    wave_number: Float[np.ndarray, "k"]
    # variance per unit wave number
    density: Float[np.ndarray, "t k"]
    # of each shell
    width: float


def radial_spectrum(
    fields: Float[np.ndarray, "t h w"], *, boundary_x: Boundary = "periodic", boundary_y: Boundary = "periodic"
) -> Spectrum:
    """Spectrum of each field, the shells beyond half a wave per cell (the corners of the grid) included."""
    _, height, width = fields.shape
    taper = _taper(height, boundary_y)[:, None] * _taper(width, boundary_x)[None, :]
    values = fields.astype(np.float64)
    # the mean under the taper: what is left has none, so that it cannot leak into the first shells
    values = (values - (values * taper).sum(axis=(1, 2), keepdims=True) / taper.sum()) * taper
    power = np.abs(np.fft.fft2(values) / (height * width)) ** 2 / np.mean(taper**2)
    side = min(height, width)
    shell = np.rint(np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]) * side).astype(int)
    sums = np.stack([np.bincount(shell.ravel(), weights=one.ravel()) for one in power])
    # shell 0 holds what the mean left; waves longer than the shorter side count to the first
    sums[:, 1] += sums[:, 0]
    return Spectrum(np.arange(1, sums.shape[1]) / side, sums[:, 1:] * side, 1 / side)


def _taper(size: int, boundary: Boundary) -> Float[np.ndarray, "n"]:
    """1 along a periodic axis, Hann's window along others."""
    if boundary == "periodic":
        return np.ones(size)
    return np.asarray(np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2)
