"""Heat maps: a snapshot as PNG, for film strips and for a first look."""

from __future__ import annotations

import asyncio
import hashlib
import io
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response

from graph.errors import GraphError
from graph.queries import arrays
from resolvers.services.context import Services
from resolvers.web.ranges import FOREVER, not_modified, unchanged

COLOURS = ("inferno", "viridis", "magma", "cividis", "RdBu_r", "gray")
"""Perceptually uniform maps, one that diverges for differences, and gray."""
LEAST_PIXELS = 256
"""Of the longer side; small fields are enlarged by whole numbers, so that cells stay squares."""


async def image(request: Request) -> Response:
    """GET /snapshots/{uid}.png?colours=inferno&low=…&high=…; low and high default to the snapshot's own range."""
    services: Services = request.state.services
    colours = request.query_params.get("colours", COLOURS[0])
    if colours not in COLOURS:
        raise GraphError("BAD_COLOURS", f"expected colours out of {', '.join(COLOURS)}, got {colours[:40]!r}.")
    picture = await arrays.picture(services.gateway, request.path_params["uid"])
    low, high = _number(request, "low", picture.minimum), _number(request, "high", picture.maximum)
    tag = hashlib.sha256(f"{picture.sha256} {colours} {low} {high}".encode()).hexdigest()
    if unchanged(request, tag):
        return not_modified(tag)

    def draw() -> bytes:
        return png(services.store.read_array(picture.uri)[..., 0], colours, low, high)

    return Response(
        await asyncio.to_thread(draw), media_type="image/png", headers={"ETag": f'"{tag}"', "Cache-Control": FOREVER}
    )


def png(field: Float[np.ndarray, "h w"], colours: str, low: float, high: float) -> bytes:
    """The field as PNG, row 0 on top; `low` and below is the map's first colour, `high` and above its last."""
    span = high - low if high > low else 1.0
    levels = (np.clip((field - low) / span, 0.0, 1.0) * 255).round().astype(np.uint8)
    scale = max(1, -(-LEAST_PIXELS // max(levels.shape)))
    pixels = Image.fromarray(palette(colours)[levels])
    enlarged = pixels.resize((pixels.width * scale, pixels.height * scale), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    enlarged.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


@cache
def palette(colours: str) -> UInt8[np.ndarray, "256 3"]:
    """256 colours of one of matplotlib's maps; imported when first drawn, and never by pyplot and its global state."""
    import matplotlib

    table: Any = matplotlib.colormaps[colours](np.arange(256), bytes=True)
    return np.ascontiguousarray(table[:, :3])


def _number(request: Request, name: str, default: float) -> float:
    text = request.query_params.get(name)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise GraphError("BAD_NUMBER", f"expected a number as {name}, got {text!r}.")
    return value
