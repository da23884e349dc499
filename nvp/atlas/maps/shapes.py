"""Shapes: which grids a field may have, and what a scale means on a grid that is not square.

A grid is any H × W whose sides are multiples of 8, as the model's pyramid wants them. The seeds' list is a preset by
name, `SEEDS`: 64², 128², 256², the radiative layer's 128×384 and the true 2:3 shapes 128×192 and 256×384. (Their text
calls 128×384 "2:3", but 128:384 is 1:3; both readings are in the list.)
"""

from __future__ import annotations

from collections.abc import Collection

from nvp.atlas.maps.errors import BadScale
from nvp.atlas.series import SIDE

Shape = tuple[int, int]
Scale = int | Shape

SEEDS: frozenset[Shape] = frozenset({(64, 64), (128, 128), (256, 256), (128, 384), (128, 192), (256, 384)})


def validate_shape(shape: tuple[int, ...], *, preset: Collection[Shape] | None = None) -> bool:
    """Whether a field may have this shape, (H, W) or (H, W, 1); with a `preset`, whether it is one of these."""
    if len(shape) == 3 and shape[2] == 1:
        shape = shape[:2]
    if len(shape) != 2:
        return False
    if preset is not None:
        return shape in preset
    return all(side >= SIDE and side % SIDE == 0 for side in shape)


def grid_of(scale: Scale | None, shape: Shape) -> Shape:
    """The grid that `scale` means for fields of `shape`: None their own, a pair itself, a number the shorter side.

    Raises `BadScale` for sides that are no positive multiples of 8, a number that does not keep the aspect, and grids
    finer than the field's own, which would invent detail.
    """
    H, W = shape
    if scale is None:
        return shape
    if isinstance(scale, int):
        short = min(H, W)
        if isinstance(scale, bool) or H * scale % short or W * scale % short:
            raise BadScale(
                "BAD_SCALE",
                f"expected a scale that keeps {H}×{W} in proportion, got {scale}.",
                next_step="Give height and width as a pair.",
            )
        wanted = (H * scale // short, W * scale // short)
    else:
        wanted = scale
    if not validate_shape(wanted):
        raise BadScale(
            "BAD_SCALE",
            f"expected sides that are positive multiples of {SIDE}, got {wanted[0]}×{wanted[1]}.",
            next_step="Choose e.g. 64, 128 or 256.",
        )
    if wanted[0] > H or wanted[1] > W:
        raise BadScale(
            "BAD_SCALE",
            f"expected a grid no finer than the field's own {H}×{W}, got {wanted[0]}×{wanted[1]}.",
            next_step="A finer grid would invent detail: simulate or import at that scale.",
        )
    return wanted


def halves(shape: Shape, *, down_to: int = 64) -> list[Scale]:
    """The scales of a pyramid: the grid's own, and halves of it while they are whole and no smaller than `down_to`."""
    found: list[Scale] = [min(shape)]
    H, W = shape
    while min(H, W) >= 2 * down_to and validate_shape((H // 2, W // 2)) and H % 2 == W % 2 == 0:
        H, W = H // 2, W // 2
        found.append(min(H, W))
    return found
