"""Uploads: frames that came one by one by `PUT /arrays/{sha256}` become a stretch of a sequence."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from jaxtyping import Float32

from graph.errors import GraphError, NotFound
from nvp.atlas.checks import check_values
from nvp.atlas.formats.imported import Imported
from nvp.atlas.series import SIDE
from nvp.atlas.store import ArrayStore
from nvp.atlas.time_axis import TimeAxis, from_times
from nvp.dynamics.domain import domain as registered_domain
from nvp.errors import FieldError
from resolvers.services.context import Services
from resolvers.services.importing import named
from resolvers.services.ingest import IngestReport, ingest_series

MAX_FRAMES = 500
MAX_NUMBERS = 1 << 26
"""Float32 numbers of one request: 256 MiB in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """Frames in the store and what they are."""

    # name of a registered domain
    domain: str
    # name of the source, part of the sequence's identity
    source: str
    # sha256 of each frame, (H, W, C) or (H, W), in order of time
    frames: tuple[str, ...]
    # time step; None: the domain's own
    dt: float | None = None
    # step of the first frame where the sequence has no calendar
    first: int = 0
    # time of the first frame where it has one
    start: datetime | None = None


async def ingest_uploads(services: Services, request: UploadRequest) -> IngestReport:
    """Make the frames a segment of the source's sequence; the same request again adds nothing.

    Raises NotFound for a frame that was not uploaded, GraphError or FieldError where frames do not fit each other,
    the domain or what the sequence holds.
    """
    spec = registered_domain(request.domain)
    if not 0 < len(request.frames) <= MAX_FRAMES:
        raise GraphError("BAD_REQUEST", f"expected 1 … {MAX_FRAMES} frames, got {len(request.frames)}.")
    dt = spec.dt if request.dt is None else request.dt
    if not (np.isfinite(dt) and dt > 0):
        raise GraphError("BAD_REQUEST", f"expected dt above 0, got {dt}.")
    source = named(request.source)
    values = await asyncio.to_thread(_stack, services.store, request.frames)
    field = Imported(file="the upload", variable="field", units=spec.units, values=values, time=_axis(request, dt))
    await asyncio.to_thread(check_values, field, spec)
    (series,) = field.series(domain=spec.name)
    return await ingest_series(
        services,
        series,
        source=source,
        recipe={"variable": "field", "units": spec.units},
        generator="upload",
        label="Observed",
    )


def _axis(request: UploadRequest, dt: float) -> TimeAxis:
    if request.start is None:
        return TimeAxis(dt, ((0, len(request.frames), request.first),))
    # a time without a zone is UTC, as everywhere in the graph
    zoned = request.start if request.start.tzinfo else request.start.replace(tzinfo=UTC)
    # in microseconds, as the graph keeps times: nanoseconds would wrap around beyond the year 2261
    start = np.datetime64(zoned.astimezone(UTC).replace(tzinfo=None), "us")
    steps = np.round(np.arange(len(request.frames)) * dt * 1e6).astype("timedelta64[us]")
    return from_times(start + steps, dt=dt, file="the upload")


def _stack(store: ArrayStore, frames: Sequence[str]) -> Float32[np.ndarray, "t h w c"]:
    arrays: list[Float32[np.ndarray, "h w c"]] = []
    for sha256 in frames:
        try:
            array = store.read_array(f"objects/{sha256[:2]}/{sha256}.npy")
        except FieldError as error:
            if error.code not in ("FILE_MISSING", "BAD_URI"):
                raise
            raise NotFound("array", sha256, next_step=f"Upload it by PUT /arrays/{sha256[:64]}.") from error
        array = array[..., None] if array.ndim == 2 else array
        if array.ndim != 3 or (arrays and array.shape != arrays[0].shape):
            wanted = arrays[0].shape if arrays else "(H, W, C)"
            raise FieldError("BAD_SHAPE", f"expected a frame of shape {wanted}, got {array.shape} in {sha256[:12]}….")
        if array.shape[0] % SIDE or array.shape[1] % SIDE:
            raise FieldError(
                "BAD_SHAPE",
                f"expected height and width in multiples of {SIDE}, got {array.shape[0]}×{array.shape[1]}.",
                next_step="Crop or regrid before you upload.",
            )
        if array.size * len(frames) > MAX_NUMBERS:
            raise FieldError("TOO_LARGE", f"expected at most {MAX_NUMBERS} numbers.", next_step="Send fewer at a time.")
        arrays.append(array)
    return np.stack(arrays)
