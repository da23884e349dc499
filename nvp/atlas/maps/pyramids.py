"""Pyramids: one field on ever coarser grids that cover the same area, with its gradient on each.

Values are intensive: a coarse cell holds the mean over its area, so that fields of different scales compare, and the
total Σ E·dx·dy is kept because cells grow as they become fewer. (Sums per cell would multiply every mean by 16 from
256² to 64².) Each axis has its own factor: 128×384 becomes 64×192.

- `area`, the default: exact means. Not negative where the field is not, and no energy is lost.
- `cubic`: the field's cubic spline (order 3), sampled at the new centres. It overshoots: cells become negative and the
  total drifts. Those are set to 0 and the rest is rescaled, after which the total is right by construction and says
  nothing; hence `Defect`, which was measured before.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Real

from nvp.atlas.maps.errors import BadData
from nvp.atlas.maps.gradients import Geometry, gradient, magnitude
from nvp.atlas.maps.shapes import Shape
from nvp.atlas.regrid import overlaps
from nvp.dynamics.domain import Boundary

Kind = Literal["area", "cubic"]

# how scipy continues a field beyond its edge: cells repeat, are mirrored at the wall, or the last one goes on
_BEYOND: dict[Boundary, Literal["grid-wrap", "reflect", "nearest"]] = {
    "periodic": "grid-wrap",
    "wall": "reflect",
    "open": "nearest",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """What resampling did to the field before anything was put right."""

    # relative error of the total Σ E·dx·dy (of Σ |E|·dx·dy where the field is signed)
    total: float
    # cells below 0, and the lowest value
    negative_cells: int
    minimum: float

    def to_json(self) -> dict[str, float | int]:
        """Its fields by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The field at one scale."""

    kind: Kind
    energy: Float64[np.ndarray, "h w"]
    # order x, y; per unit of length
    gradient: Float64[np.ndarray, "h w 2"]
    geometry: Geometry
    defect: Defect

    @property
    def magnitude(self) -> Float64[np.ndarray, "h w"]:
        """Length of the gradient."""
        return magnitude(self.gradient)

    @property
    def total(self) -> float:
        """Σ E·dx·dy."""
        return float(self.energy.sum() * self.geometry.dx * self.geometry.dy)


def level(
    energy: Real[np.ndarray, "h w"], grid: Shape, geometry: Geometry, *, kind: Kind = "area", signed: bool = False
) -> Level:
    """The field and its gradient on `grid`, no finer than its own; `geometry` is that of its own."""
    field = np.asarray(energy, float)
    coarser = geometry.coarser(field.shape[0] / grid[0], field.shape[1] / grid[1])
    raw = area_mean(field, grid) if kind == "area" else cubic(field, grid, geometry)
    defect = _defect(field, raw, signed=signed)
    kept = raw if kind == "area" else _restored(field, raw, signed=signed)
    return Level(kind=kind, energy=kept, gradient=gradient(kept, coarser), geometry=coarser, defect=defect)


def area_mean(energy: Real[np.ndarray, "*n h w"], grid: Shape) -> Float64[np.ndarray, "*n h2 w2"]:
    """The mean of the field over each cell of `grid`, exact; by conservative overlaps where a factor is not whole."""
    H, W = energy.shape[-2:]
    h, w = grid
    field = np.asarray(energy, float)
    mean: Float64[np.ndarray, "*n h2 w2"]
    if grid == (H, W):
        return field
    if H % h == 0 and W % w == 0:
        # rows of a block first, which are contiguous, then a product with ones: a thirtieth of the time of `mean`
        rows = field.reshape(*field.shape[:-2], h, H // h, W).sum(axis=-2)
        mean = rows.reshape(*rows.shape[:-1], w, W // w) @ np.ones(W // w) / (H // h * (W // w))
    else:
        down, across = overlaps(H, h) * (h / H), overlaps(W, w) * (w / W)
        mean = down @ field @ across.T
    return mean


def cubic(energy: Float64[np.ndarray, "h w"], grid: Shape, geometry: Geometry) -> Float64[np.ndarray, "h2 w2"]:
    """The cubic spline through the cells, at the centres of `grid`; what comes out, defects and all."""
    # scipy takes a moment to import, which only this costs
    from scipy.ndimage import zoom

    H, W = energy.shape
    h, w = grid
    found = energy
    if geometry.boundary_x == geometry.boundary_y and h != H and w != W:
        return zoom(found, (h / H, w / W), order=3, mode=_BEYOND[geometry.boundary_x], grid_mode=True)
    # a spline on a grid is a product of splines along the axes, and each axis has its own boundary
    if h != H:
        found = zoom(found, (h / H, 1.0), order=3, mode=_BEYOND[geometry.boundary_y], grid_mode=True)
    if w != W:
        found = zoom(found, (1.0, w / W), order=3, mode=_BEYOND[geometry.boundary_x], grid_mode=True)
    return found


def coarse(frames: Float32[np.ndarray, "*n h w 1"], grid: Shape) -> Float32[np.ndarray, "*n h2 w2 1"]:
    """Frames as they are kept, on `grid`; the very same array where they are on it."""
    if frames.shape[-3:-1] == grid:
        return frames
    return area_mean(frames[..., 0], grid).astype(np.float32)[..., None]


def _defect(field: Float64[np.ndarray, "h w"], raw: Float64[np.ndarray, "h2 w2"], *, signed: bool) -> Defect:
    # both cover one area: means stand for totals
    size = float(np.abs(field).mean()) if signed else float(field.mean())
    error = abs(float(raw.mean()) - float(field.mean()))
    lowest = float(raw.min())
    negative = 0 if signed else int(np.count_nonzero(raw < 0))
    return Defect(total=error / size if size > 0 else error, negative_cells=negative, minimum=lowest)


def _restored(
    field: Float64[np.ndarray, "h w"], raw: Float64[np.ndarray, "h2 w2"], *, signed: bool
) -> Float64[np.ndarray, "h2 w2"]:
    """The field's total: signed fields are shifted, energies lose their negative cells and are rescaled."""
    if signed:
        shifted: Float64[np.ndarray, "h2 w2"] = raw + (field.mean() - raw.mean())
        return shifted
    kept = np.maximum(raw, 0.0)
    total = kept.mean()
    if field.mean() == 0:
        return np.zeros_like(kept)
    if not total > 0:
        raise BadData(
            "CUBIC_LOST",
            f"expected energy on {raw.shape} cells, got none: the spline passes between the cells that hold it.",
            next_step="Use area means.",
        )
    restored: Float64[np.ndarray, "h2 w2"] = kept * (field.mean() / total)
    return restored
