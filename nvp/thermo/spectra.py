"""Spectra: whether a prediction has the right amount of structure at every scale, wherever it lies.

S(k) is the radial power spectrum (`nvp.thermo.radial`), k up to half a wave per cell. Three numbers for each pair:

    error       Σ_k |S_P − S_T| / Σ_k S_T             led by the large scales
    log error   mean_k |log10(S_P / S_T)|             every scale counts the same
    fine        Σ_{k > 1/8} S_P / Σ_{k > 1/8} S_T     below 1: smoother than the truth

Shells in which the truth holds less than `FLOOR` of its variance are rounding and count in none of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from nvp.dynamics.domain import DomainSpec
from nvp.thermo.radial import radial_spectrum

# share of the variance below which a shell of a float32 field is rounding
FLOOR = 1e-12
# waves per cell from which structure is fine: eight cells long and less
FINE = 0.125
# smallest ratio of densities that is told apart, and the inverse of the largest
_LEAST_RATIO = 1e-12


class SpectrumErrors(NamedTuple):
    """One value per pair, the mean over channels; NaN where the truth is uniform (or has nothing fine)."""

    error: Float64[np.ndarray, "n"]
    log_error: Float64[np.ndarray, "n"]
    fine: Float64[np.ndarray, "n"]


class Densities(NamedTuple):
    """The spectra of n fields."""

    # waves per cell of each shell
    wave_number: Float64[np.ndarray, "k"]
    density: Float64[np.ndarray, "n c k"]


def spectrum_errors(
    predicted: Float[np.ndarray, "n h w c"], truth: Float[np.ndarray, "n h w c"], spec: DomainSpec
) -> SpectrumErrors:
    """How the spectra of each pair differ."""
    return compare_spectra(densities(predicted, spec), densities(truth, spec))


def densities(fields: Float[np.ndarray, "n h w c"], spec: DomainSpec) -> Densities:
    """Variance per wave number of each field and channel, up to half a wave per cell."""
    n, height, width, channels = fields.shape
    flat = np.moveaxis(fields, -1, 1).reshape(n * channels, height, width)
    found = radial_spectrum(flat, boundary_x=spec.boundary_x, boundary_y=spec.boundary_y)
    seen = found.wave_number <= 0.5
    return Densities(found.wave_number[seen], found.density[:, seen].reshape(n, channels, -1))


def compare_spectra(predicted: Densities, truth: Densities) -> SpectrumErrors:
    """The three numbers of each pair, from spectra that are there already."""
    theirs, true = predicted.density, truth.density
    whole = true.sum(axis=-1, keepdims=True)
    counts = (true > FLOOR * whole) & (whole > 0)
    fine = counts & (truth.wave_number > FINE)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.clip(np.where(counts, theirs / true, 1.0), _LEAST_RATIO, 1 / _LEAST_RATIO)
        error = _sum(np.abs(theirs - true), counts) / _sum(true, counts)
        log_error = _sum(np.abs(np.log10(ratio)), counts) / counts.sum(axis=-1)
        small = _sum(theirs, fine) / _sum(true, fine)
    return SpectrumErrors(*(values.mean(axis=-1) for values in (error, log_error, small)))


def _sum(values: Float64[np.ndarray, "n c k"], where: np.ndarray) -> Float[np.ndarray, "n c"]:
    summed: Float[np.ndarray, "n c"] = np.where(where, values, 0.0).sum(axis=-1)
    return summed
