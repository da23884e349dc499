"""Gradients of a field on its grid: second-order differences, divided by the spacing, as the boundaries say.

    ∂E/∂x ≈ (E[y, x+1] − E[y, x−1]) / 2dx            inside, and across the edge where x is periodic
    ∂E/∂x ≈ ∓(3E₀ − 4E₁ + E₂) / 2dx                  at the edge of a wall or an open side

(Fornberg, Mathematics of Computation 51, 699, 1988.) Arrays have the axes (y, x), so x is the *last* axis and y the
first; a gradient's components are in the order (x, y). `numpy.gradient` returns them the other way round, and calling
its first one "x", as is often done, turns every gradient by a right angle without changing its magnitude: nothing that
only looks at magnitudes notices. Divided by the spacing, the slope of one field is the same at every scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Real

from nvp.dynamics.domain import Boundary, DomainSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """What differences need to know of a grid."""

    dx: float = 1.0
    dy: float = 1.0
    boundary_x: Boundary = "open"
    boundary_y: Boundary = "open"

    @classmethod
    def of(cls, spec: DomainSpec) -> Geometry:
        """That of a domain's own grid."""
        return cls(dx=spec.dx, dy=spec.dy, boundary_x=spec.boundary_x, boundary_y=spec.boundary_y)

    def coarser(self, factor_y: float, factor_x: float) -> Geometry:
        """The same area in cells that are larger by these factors."""
        return Geometry(
            dx=self.dx * factor_x, dy=self.dy * factor_y, boundary_x=self.boundary_x, boundary_y=self.boundary_y
        )


def gradient(energy: Real[np.ndarray, "*n h w"], geometry: Geometry) -> Float64[np.ndarray, "*n h w 2"]:
    """(∂E/∂x, ∂E/∂y) at each cell, in the field's unit per unit of length."""
    field = np.asarray(energy, float)
    # each component contiguous while it is computed: ten times faster than writing every second number
    x, y = out = np.empty((2, *field.shape))
    _difference(field, geometry.boundary_x, x)
    _difference(field.swapaxes(-1, -2), geometry.boundary_y, y.swapaxes(-1, -2))
    x /= 2 * geometry.dx
    y /= 2 * geometry.dy
    return np.moveaxis(out, 0, -1)


def magnitude(gradient: Float[np.ndarray, "*n h w 2"]) -> Float[np.ndarray, "*n h w"]:
    """Length of the gradient, whatever the order of its components."""
    length: Float[np.ndarray, "*n h w"] = np.hypot(gradient[..., 0], gradient[..., 1])
    return length


def _difference(field: Float64[np.ndarray, "*n h w"], boundary: Boundary, out: Float64[np.ndarray, "*n h w"]) -> None:
    """Twice the slope per cell along the last axis, into `out`."""
    np.subtract(field[..., 2:], field[..., :-2], out=out[..., 1:-1])
    if boundary == "periodic":
        out[..., 0] = field[..., 1] - field[..., -1]
        out[..., -1] = field[..., 0] - field[..., -2]
    else:
        out[..., 0] = -3 * field[..., 0] + 4 * field[..., 1] - field[..., 2]
        out[..., -1] = 3 * field[..., -1] - 4 * field[..., -2] + field[..., -3]
