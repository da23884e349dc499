"""Pyramids: one field on ever coarser grids that cover the same area."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Real

from nvp.atlas.regrid import overlaps
from nvp.atlas.shapes import Shape


def area_mean(energy: Real[np.ndarray, "*n h w"], grid: Shape) -> Float64[np.ndarray, "*n h2 w2"]:
    """The mean of the field over each cell of a coarser `grid`, exact and, where the field is, not negative.

    Each axis has its own factor. Σ E·dx·dy is kept to round-off: cells are as many times larger as they are fewer.
    """
    H, W = energy.shape[-2:]
    h, w = grid
    field = np.asarray(energy, float)
    if H % h == 0 and W % w == 0:
        # whole factors: plain means of blocks
        blocks: Float64[np.ndarray, "*n h2 w2"] = field.reshape(*field.shape[:-2], h, H // h, w, W // w).mean((-3, -1))
        return blocks
    rows, columns = overlaps(H, h) * (h / H), overlaps(W, w) * (w / W)
    mean: Float64[np.ndarray, "*n h2 w2"] = rows @ field @ columns.T
    return mean


def coarse(frames: Float32[np.ndarray, "*n h w 1"], grid: Shape) -> Float32[np.ndarray, "*n h2 w2 1"]:
    """Frames as they are kept, on `grid`; the very same array where they are on it."""
    if frames.shape[-3:-1] == grid:
        return frames
    return area_mean(frames[..., 0], grid).astype(np.float32)[..., None]
