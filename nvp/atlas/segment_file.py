"""One segment in one HDF5 file: what of a series goes where, and how it comes back.

`energy` and each `context/<name>` are (T, H, W, C) float32 with one frame per chunk, so that a single frame can be
read without its neighbours. Everything else is small: attributes `domain uid dt first parameters`, datasets
`valid_time source_total outflow_total` where the series has them. `first` is whatever the writer counts from: ingest
writes absolute steps, so that a file's content does not depend on which file of a sequence came first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float32

from nvp.atlas.canonical import STORED, as_stored, digests
from nvp.atlas.series import Series
from nvp.atlas.sink import sink
from nvp.errors import FieldError

FORMAT = "fieldgraph segment 1"


@dataclass(frozen=True, slots=True)
class FrameDigests:
    """sha256 of each frame of a series: hashed once, used for the segment and for its frames."""

    energy: tuple[str, ...]
    # by name of the context field
    context: Mapping[str, tuple[str, ...]]
    # of all context fields of a frame, stacked along C in order of name; empty where there are none
    stacked: tuple[str, ...]


def frame_digests(series: Series) -> FrameDigests:
    """Hash every frame of the series and of its context."""
    context = {name: digests(values) for name, values in sorted(series.context.items())}
    if len(context) == 1:
        (stacked,) = context.values()  # a stack of one is that one
    else:
        stacked = digests(stacked_context(series)) if context else ()
    return FrameDigests(digests(series.energy), context, stacked)


def stacked_context(series: Series) -> Float32[np.ndarray, "t h w c"]:
    """All context fields along C, in order of name."""
    return np.concatenate([as_stored(series.context[name]) for name in sorted(series.context)], axis=-1)


def content_digest(series: Series, frames: FrameDigests | None = None) -> str:
    """sha256 over what the series says: digests of frames and context, and all that lies beside them.

    The bytes of the container do not count: two versions of HDF5 may write the same content differently. `frames` are
    the series' own digests, where they are known already.
    """
    frames = frames or frame_digests(series)
    said = {
        "format": FORMAT,
        "energy": frames.energy,
        "context": frames.context,
        "parameters": {name: float(value) for name, value in sorted(series.parameters.items())},
        "dt": float(series.dt),
        "first": int(series.first),
        "domain": series.domain,
        "uid": series.uid,
        "valid_time": None if series.valid_time is None else _time_text(series.valid_time),
        "source_total": None if series.source_total is None else series.source_total.astype(float).tolist(),
        "outflow_total": None if series.outflow_total is None else series.outflow_total.astype(float).tolist(),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def write(path: Path, series: Series) -> None:
    """Write `series` into a new file; the caller gives a temporary path and moves it."""
    with sink(path) as target, h5py.File(target, "w") as file:
        _write_frames(file, "energy", series.energy)
        for name, values in series.context.items():
            _write_frames(file, f"context/{name}", values)
        for name in ("source_total", "outflow_total"):
            values = getattr(series, name)
            if values is not None:
                file.create_dataset(name, data=values.astype("<f8"))
        if series.valid_time is not None:
            # HDF5 has no calendar: whole ticks since 1970, and what a tick is
            file.create_dataset("valid_time", data=series.valid_time.astype("<i8"))
            file["valid_time"].attrs["dtype"] = series.valid_time.dtype.str
        file.attrs.update(
            {
                "format": FORMAT,
                "domain": series.domain,
                "uid": series.uid,
                "dt": float(series.dt),
                "first": int(series.first),
                "parameters": json.dumps(dict(series.parameters), sort_keys=True),
            }
        )


def read(file: h5py.File, start: int, stop: int) -> Series:
    """Frames start … stop-1 of an open segment; only their chunks are read."""
    cut = slice(start, stop)
    times = file.get("valid_time")
    return Series(
        energy=file["energy"][cut],
        context={name: values[cut] for name, values in file["context"].items()} if "context" in file else {},
        parameters=json.loads(file.attrs["parameters"]),
        dt=float(file.attrs["dt"]),
        first=int(file.attrs["first"]) + start,
        valid_time=None if times is None else times[cut].astype(times.attrs["dtype"]),
        source_total=file["source_total"][cut] if "source_total" in file else None,
        outflow_total=file["outflow_total"][cut] if "outflow_total" in file else None,
        domain=str(file.attrs["domain"]),
        uid=str(file.attrs["uid"]),
    )


def length(file: h5py.File) -> int:
    """Number of frames in an open segment."""
    if file.attrs.get("format") != FORMAT:
        raise OSError(f"format is {file.attrs.get('format')!r}, not {FORMAT!r}")
    return int(file["energy"].shape[0])


def check(series: Series) -> None:
    """Refuse a series whose parts do not fit each other, before any byte is written."""
    T, H, W, _ = series.energy.shape
    if T == 0:
        raise FieldError("EMPTY_SERIES", "expected at least one frame, got none.", next_step="Check the time axis.")
    for name, values in series.context.items():
        if values.shape[:3] != (T, H, W) or not name or "/" in name or name.startswith("."):
            raise FieldError(
                "BAD_CONTEXT",
                f"expected context {name!r} of shape ({T}, {H}, {W}, C), got {values.shape}.",
                next_step="Bring it onto the grid and the times of the energy; its name has no '/'.",
            )
    for name in ("valid_time", "source_total", "outflow_total"):
        values = getattr(series, name)
        if values is not None and values.shape != (T,):
            raise FieldError(
                "BAD_SERIES",
                f"expected {name} of shape ({T},), got {values.shape}.",
                next_step="Give one value per frame.",
            )
    if series.valid_time is not None and series.valid_time.dtype.kind != "M":
        raise FieldError(
            "BAD_SERIES",
            f"expected valid_time as datetime64, got {series.valid_time.dtype}.",
            next_step="Use numpy.datetime64, or leave it out where there is no calendar.",
        )


def _write_frames(file: h5py.File, name: str, values: np.ndarray) -> None:
    stored = as_stored(values)
    file.create_dataset(name, data=stored, dtype=STORED, chunks=(1, *stored.shape[1:]))


def _time_text(times: np.ndarray) -> list[str]:
    # ISO text and not ticks: seconds and nanoseconds of one instant are one content
    return [str(time) for time in times.astype("datetime64[ns]")]
