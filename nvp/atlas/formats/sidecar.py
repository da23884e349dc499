"""The sidecar of an `.npy` file: `storm.json` beside `storm.npy` says what an array cannot.

    {"dt": 3600.0, "units": "K", "domain": "surface_temperature", "start": "2019-03-01T00:00"}

All entries may be left out. `dt` is in seconds where there is a calendar; `start` is the time of the first frame and
`valid_time` a list with the time of each, one of which may be given (ISO 8601, UTC).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from nvp.atlas.time_axis import TimeAxis, from_times, without_times
from nvp.errors import FieldError

_LARGEST = 1 << 26
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """What is said beside an array."""

    dt: float | None = None
    units: str = ""
    domain: str | None = None
    start: str | None = None
    valid_time: tuple[str, ...] | None = None

    def time(self, length: int, *, default_dt: float, file: str) -> TimeAxis:
        """The time axis of `length` frames."""
        dt = default_dt if self.dt is None else self.dt
        if self.valid_time is not None:
            times = _instants(self.valid_time, file)
            if len(times) != length:
                raise _refused(file, f"valid_time of {length} frames", f"{len(times)} times")
            return from_times(times, dt=dt, file=file)
        if self.start is not None:
            start = _instants((self.start,), file)[0]
            steps = np.round(np.arange(length) * (dt * 1e9)).astype("timedelta64[ns]")
            return from_times(start + steps, dt=dt, file=file)
        return without_times(length, dt=dt)


def read_sidecar(path: Path) -> Sidecar:
    """The sidecar of the array at `path`; an empty one where there is none."""
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return Sidecar()
    if beside.stat().st_size > _LARGEST:
        raise _refused(beside.name, f"at most {_LARGEST >> 20} MiB", "more")
    try:
        said = json.loads(beside.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _refused(beside.name, "JSON", " ".join(str(error).split())[:100]) from error
    known = set(Sidecar.__dataclass_fields__)
    if not isinstance(said, dict) or not said.keys() <= known:
        strange = sorted(said.keys() - known) if isinstance(said, dict) else said
        raise _refused(beside.name, f"an object of {', '.join(sorted(known))}", f"{strange!r:.60}")
    dt, times = said.get("dt"), said.get("valid_time")
    if dt is not None and (isinstance(dt, bool) or not isinstance(dt, int | float) or not math.isfinite(dt) or dt <= 0):
        raise _refused(beside.name, "dt as one finite number above 0", f"{dt!r:.60}")
    for name in ("units", "domain", "start"):
        if not isinstance(said.get(name, ""), str):
            raise _refused(beside.name, f"{name} as text", f"{said[name]!r:.60}")
    if times is not None and not (isinstance(times, list) and all(isinstance(time, str) for time in times)):
        raise _refused(beside.name, "valid_time as a list of ISO times", f"{times!r:.60}")
    if times is not None and "start" in said:
        raise _refused(beside.name, "start or valid_time", "both")
    return Sidecar(
        **{
            **said,
            "dt": None if dt is None else float(dt),
            "valid_time": None if times is None else tuple(times),
        }
    )


def _instants(times: tuple[str, ...], file: str) -> Shaped[np.ndarray, "t"]:
    # UTC may be said, as everywhere in the graph; another zone is not guessed at
    plain = [time.removesuffix("Z").removesuffix("+00:00") for time in times]
    for time in plain:
        if not _ISO.fullmatch(time):
            raise _refused(file, "times in ISO 8601, UTC", f"{time!r:.60}")
    try:
        found = np.array(plain, dtype="datetime64[ns]")
        # what does not fit into nanoseconds wraps around without a word
        years = np.array(plain, dtype="datetime64[Y]").astype(int) + 1970
    except ValueError as error:
        raise _refused(file, "times in ISO 8601, UTC", " ".join(str(error).split())[:100]) from error
    if ((years < 1678) | (years > 2261)).any():
        raise _refused(file, "times from 1678 to 2261", f"{times[int(np.argmax((years < 1678) | (years > 2261)))]!r}")
    return found


def _refused(file: str, expected: str, got: str) -> FieldError:
    return FieldError(
        "BAD_SIDECAR", f"expected {expected} in {file}, got {got}.", next_step="Correct the file, or take it away."
    )
