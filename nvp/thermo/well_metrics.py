"""The Well's suite of metrics under its own names, so that a figure here is the figure there.

Each takes prediction x and truth y on axes (…, h, w, c), with any number of batch and time axes, and gives one value
for each channel of each frame. Sums are float64 whatever the type of the fields. As there, the eps of 1e-7 has the unit
of the squared field: a nearly uniform field has nearly no error. PearsonR divides a biased covariance by unbiased
deviations, so that a perfect prediction scores (N − 1)/N; that, too, is as there.

Reference: Ohana et al., The Well (NeurIPS 2024), `the_well.benchmark.metrics` (spatial.py, spectral.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

EPSILON = 1e-7
_SPACE = (-3, -2)


def mse(x: Float[np.ndarray, "... h w c"], y: Float[np.ndarray, "... h w c"]) -> Float[np.ndarray, "... c"]:
    """Mean of (x − y)² over the cells."""
    found: Float[np.ndarray, "... c"] = ((_double(x) - _double(y)) ** 2).mean(axis=_SPACE)
    return found


def rmse(x: Float[np.ndarray, "... h w c"], y: Float[np.ndarray, "... h w c"]) -> Float[np.ndarray, "... c"]:
    """√MSE."""
    found: Float[np.ndarray, "... c"] = np.sqrt(mse(x, y))
    return found


def nrmse(x: Float[np.ndarray, "... h w c"], y: Float[np.ndarray, "... h w c"]) -> Float[np.ndarray, "... c"]:
    """√(MSE / (mean y² + eps))."""
    found: Float[np.ndarray, "... c"] = np.sqrt(mse(x, y) / ((_double(y) ** 2).mean(axis=_SPACE) + EPSILON))
    return found


def vrmse(x: Float[np.ndarray, "... h w c"], y: Float[np.ndarray, "... h w c"]) -> Float[np.ndarray, "... c"]:
    """√(MSE / (var y + eps)), the variance unbiased: predicting y's mean scores about 1."""
    found: Float[np.ndarray, "... c"] = np.sqrt(mse(x, y) / (_double(y).var(axis=_SPACE, ddof=1) + EPSILON))
    return found


def l_infinity(x: Float[np.ndarray, "... h w c"], y: Float[np.ndarray, "... h w c"]) -> Float[np.ndarray, "... c"]:
    """Largest |x − y| of any cell."""
    found: Float[np.ndarray, "... c"] = np.abs(_double(x) - _double(y)).max(axis=_SPACE)
    return found


def pearson_r(x: Float[np.ndarray, "... h w c"], y: Float[np.ndarray, "... h w c"]) -> Float[np.ndarray, "... c"]:
    """cov(x, y) / (std x · std y + eps)."""
    dx = _double(x) - _double(x).mean(axis=_SPACE, keepdims=True)
    dy = _double(y) - _double(y).mean(axis=_SPACE, keepdims=True)
    deviations = dx.std(axis=_SPACE, ddof=1) * dy.std(axis=_SPACE, ddof=1)
    found: Float[np.ndarray, "... c"] = (dx * dy).mean(axis=_SPACE) / (deviations + EPSILON)
    return found


def binned_spectral_mse(
    x: Float[np.ndarray, "... h w c"], y: Float[np.ndarray, "... h w c"]
) -> dict[str, Float[np.ndarray, "... c"]]:
    """MSE within three bands of isotropic wavenumber, and each over the truth's energy in its band (+ eps).

    By Plancherel the bands' MSE sum to the MSE. Their edges: 0, two spaced evenly in the logarithm between
    2π/max(h, w) and π√2, and π√2.
    """
    bands = _bands(x.shape[-3], x.shape[-2])
    error, energy = (_banded(field, bands) for field in (_double(x) - _double(y), _double(y)))
    return {f"spectral_error_mse_per_bin_{k}": error[k] for k in range(3)} | {
        f"spectral_error_nmse_per_bin_{k}": error[k] / (energy[k] + EPSILON) for k in range(3)
    }


METRICS: dict[str, Callable[..., Float[np.ndarray, "... c"]]] = {
    "MSE": mse,
    "RMSE": rmse,
    "NRMSE": nrmse,
    "VRMSE": vrmse,
    "LInfinity": l_infinity,
    "PearsonR": pearson_r,
}


def _bands(height: int, width: int) -> Int[np.ndarray, "h w"]:
    """Which band each wavenumber falls into."""
    ky, kx = (2 * np.pi * np.fft.fftfreq(side) for side in (height, width))
    edges = np.logspace(np.log10(2 * np.pi / max(height, width)), np.log10(np.pi * np.sqrt(2) + 1e-6), 4)
    bands: Int[np.ndarray, "h w"] = np.digitize(np.hypot(ky[:, None], kx), edges[1:3])
    return bands


def _banded(field: Float[np.ndarray, "... h w c"], bands: Int[np.ndarray, "h w"]) -> list[Float[np.ndarray, "... c"]]:
    """Mean square of the field within each band."""
    power = np.abs(np.fft.fft2(field, axes=_SPACE)) ** 2 / bands.size**2
    return [np.where((bands == k)[..., None], power, 0.0).sum(axis=_SPACE) for k in range(3)]


def _double(field: Float[np.ndarray, "*axes"]) -> Float[np.ndarray, "*axes"]:
    return np.asarray(field, dtype=np.float64)
