"""Fitting a field to a grid whose sides are multiples of 8, as the model's pyramid wants them.

`crop` keeps the cells of the centre as they are. `regrid` is first-order conservative: each new cell takes from the
old ones what overlaps it (Jones, Monthly Weather Review 127, 2204, 1999), so that the field's sum (an energy) or its
mean (a temperature) is kept to round-off.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32

from nvp.atlas.formats.imported import Imported
from nvp.atlas.series import SIDE
from nvp.errors import FieldError

Fit = Literal["crop", "regrid"]
Kept = Literal["sum", "mean"]


def fit(field: Imported, how: Fit | None, *, kept: Kept) -> tuple[Imported, dict[str, object]]:
    """The field on a grid of multiples of 8, and what was done, for the recipe ({} where nothing had to be).

    Raises `FieldError` where something has to be done and `how` does not say what.
    """
    _, H, W, _ = field.values.shape
    if H % SIDE == 0 and W % SIDE == 0:
        return field, {}
    cropped = (H - H % SIDE, W - W % SIDE)
    gridded = (nearest(H), nearest(W))
    if how == "crop" and min(cropped) >= SIDE:
        y, x = (H - cropped[0]) // 2, (W - cropped[1]) // 2
        rows, columns = slice(y, y + cropped[0]), slice(x, x + cropped[1])
        cut = {
            name: np.ascontiguousarray(values[:, rows, columns])
            for name, values in (("", field.values), *field.context.items())
        }
        return (
            replace(field, values=cut.pop(""), context=cut),
            {"fit": "crop", "from": [H, W], "offset": [y, x]},
        )
    if how == "regrid":
        context = {name: _regrid_context(name, values, *gridded, kept) for name, values in field.context.items()}
        return (
            replace(field, values=regrid(field.values, *gridded, kept=kept), context=context),
            {"fit": "regrid", "from": [H, W], "kept": kept},
        )
    choices = [f"--regrid (conservatively to {gridded[0]}×{gridded[1]})"]
    if min(cropped) >= SIDE:
        choices.insert(0, f"--crop (to the central {cropped[0]}×{cropped[1]})")
    raise FieldError(
        "BAD_SHAPE",
        f"expected height and width divisible by {SIDE} in {field.variable!r} of {field.file}, got {H}×{W}.",
        next_step=f"Choose {' or '.join(choices)}.",
    )


def _regrid_context(
    name: str, values: Float32[np.ndarray, "t h w c"], height: int, width: int, kept: Kept
) -> Float32[np.ndarray, "t h2 w2 c"]:
    """A context field on the new cells: a source of the field like the field, a velocity in new cells per unit time."""
    if name == "source":
        return regrid(values, height, width, kept=kept)
    mean = regrid(values, height, width, kept="mean")
    if name == "velocity":
        _, H, W, _ = values.shape
        return mean * np.array([width / W, height / H], np.float32)
    return mean


def nearest(side: int) -> int:
    """The multiple of 8 nearest to `side`, at least 8; of two equally near, the smaller."""
    return max(SIDE, (side + SIDE // 2 - 1) // SIDE * SIDE)


def regrid(
    values: Float32[np.ndarray, "t h w c"], height: int, width: int, *, kept: Kept
) -> Float32[np.ndarray, "t h2 w2 c"]:
    """The field on `height` × `width` cells that cover the same area; `kept` to the rounding of float32."""
    _, H, W, _ = values.shape
    rows, columns = overlaps(H, height), overlaps(W, width)
    if kept == "mean":
        rows, columns = rows * (height / H), columns * (width / W)
    # in float64, a frame at a time: (h2, h) (h, w, c) → (h2, w, c), then along w
    return np.stack(
        [
            np.einsum("hwc,vw->hvc", np.tensordot(rows, frame.astype(float), axes=1), columns).astype(np.float32)
            for frame in values
        ]
    )


def overlaps(old: int, new: int) -> Float[np.ndarray, "new old"]:
    """Which share of each old cell lies in each new one, when both divide the same length; columns sum to 1."""
    edges_old, edges_new = np.arange(old + 1) / old, np.arange(new + 1) / new
    low = np.maximum(edges_new[:-1, None], edges_old[None, :-1])
    high = np.minimum(edges_new[1:, None], edges_old[None, 1:])
    share = np.clip(high - low, 0.0, None) * old
    # exact shares, whatever the rounding of the edges
    exact: Float[np.ndarray, "new old"] = share / share.sum(axis=0, keepdims=True)
    return exact
