"""Perturbations of an energy map: five operations that are no physics, and what each does to ΣE before it is mended.

All but `apply_energy_scaling` conserve ΣE, because the result is scaled back to the total that it had. That makes a
check of the total circular, hence each returns its `defect` too: the relative error of the total *before* the scaling,
which tells what the operation itself does (a rotation with zero fill loses what leaves the grid). Results are >= 0:
bilinear interpolation and a positive kernel cannot overshoot, and noise is cut at 0, which is part of its defect.

What lies beyond the edge is said by `boundary`: `wrap` the other side, `reflect` the edge's mirror image (the edge cell
twice), `mirror` the same (the edge cell once), `nearest` the edge cell, `zero` nothing.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Real
from scipy import ndimage

from nvp.dynamics.perturbed_config import BOUNDARY_MODES
from nvp.errors import FieldError

Map = Float[np.ndarray, "h w"]
Given = Real[np.ndarray, "h w"]

# as scipy.ndimage calls them; its "wrap" and "constant" are others
_SCIPY = {mode: mode for mode in BOUNDARY_MODES} | {"wrap": "grid-wrap", "zero": "grid-constant"}


class Perturbed(NamedTuple):
    """A map after an operation."""

    energy: Map
    # relative error of the total before it was scaled back; for `apply_energy_scaling`, which is not, its change
    defect: float


def apply_rotation(energy: Given, angle_deg: float, *, boundary: str = "wrap") -> Perturbed:
    """Turn by `angle_deg` about the centre, from the axis x towards the axis y (down), bilinearly."""
    before = _checked(energy, angle_deg=angle_deg)
    turned = ndimage.rotate(before, -angle_deg, axes=(1, 0), reshape=False, order=1, mode=_mode(boundary))
    return _mended(turned, before)


def apply_gaussian_noise(energy: Given, sigma: float, *, rng: np.random.Generator) -> Perturbed:
    """Add independent Gaussian noise of standard deviation `sigma` times the mean, and cut at 0.

    No neighbours are read, so that there is no boundary.
    """
    before = _checked(energy, sigma=sigma)
    _not_negative("sigma", sigma)
    noisy = before + sigma * before.mean() * rng.standard_normal(before.shape)
    return _mended(np.maximum(noisy, 0.0), before)


def apply_thermal_blur(energy: Given, sigma_px: float, *, boundary: str = "wrap") -> Perturbed:
    """Diffuse: convolve with a Gaussian of standard deviation `sigma_px` cells."""
    before = _checked(energy, sigma_px=sigma_px)
    _not_negative("sigma_px", sigma_px)
    return _mended(ndimage.gaussian_filter(before, sigma_px, mode=_mode(boundary)), before)


def apply_translation(energy: Given, shift_x: int, shift_y: int, *, boundary: str = "wrap") -> Perturbed:
    """Shift by whole cells; exact where the grid is periodic."""
    before = _checked(energy)
    if boundary == "wrap":
        return Perturbed(np.roll(before, (shift_y, shift_x), axis=(0, 1)), 0.0)
    return _mended(ndimage.shift(before, (shift_y, shift_x), order=0, mode=_mode(boundary)), before)


def apply_energy_scaling(energy: Given, scale: float) -> Perturbed:
    """Multiply by `scale`: a source Q = (scale − 1)·E per step, which the first law has to be told of."""
    before = _checked(energy, scale=scale)
    _not_negative("scale", scale)
    return Perturbed(before * scale, scale - 1.0)


def _mended(after: Map, before: Map) -> Perturbed:
    """The result with the total that it had, and by how much it was off."""
    had, has = float(before.sum()), float(after.sum())
    if had == 0:
        return Perturbed(before, 0.0)
    if not has > 0:
        raise FieldError(
            "ALL_GONE",
            "expected some energy to stay on the grid, got none.",
            next_step="Shift or turn by less, or use another boundary than 'zero'.",
        )
    return Perturbed(after * (had / has), has / had - 1.0)


def _mode(boundary: str) -> Any:
    if boundary not in _SCIPY:
        raise _refused(f"a boundary out of {', '.join(BOUNDARY_MODES)}", repr(boundary), "Choose one of them.")
    return _SCIPY[boundary]


def _checked(energy: Given, **numbers: float) -> Map:
    """The map in float64; refuses what is no energy, and numbers that are none."""
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise _refused(f"a finite {name}", str(value), "Correct it.")
    field = np.asarray(energy, float)
    if not (np.isfinite(field).all() and (field >= 0).all()):
        raise _refused("finite cells of at least 0", f"a minimum of {field.min()}", "Perturb energies only.")
    return field


def _not_negative(name: str, value: float) -> None:
    if value < 0:
        raise _refused(f"{name} >= 0", str(value), "Correct it.")


def _refused(expected: str, got: str, next_step: str) -> FieldError:
    return FieldError("BAD_PERTURBATION", f"expected {expected}, got {got}.", next_step=next_step)
