"""The time axis of a file: one step `dt`, whole gaps, nothing else.

A series has no gaps, so a file with gaps becomes several series; a file whose times are not whole multiples of one
step apart is no series at all, and the error says where.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Shaped

from nvp.errors import FieldError

# times may be off their grid by this share of dt (rounding of hours stored as float32 days)
TOLERANCE = 1e-3
# a gap of more steps than this is an error in the file
MOST_STEPS = 2.0**53


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Where a file's frames lie in time."""

    # seconds for calendar time, else the unit of the numbers in the file
    dt: float
    # each stretch without gaps: frames start … stop-1 of the file, and the absolute step of the first of them
    stretches: tuple[tuple[int, int, int], ...]
    # datetime64[ns] of each frame, where the file has a calendar
    valid_time: Shaped[np.ndarray, "t"] | None = None


def without_times(length: int, *, dt: float) -> TimeAxis:
    """Frames that the file only orders: one stretch from step 0."""
    return TimeAxis(float(dt), ((0, length, 0),))


def from_times(times: Shaped[np.ndarray, "t"], *, dt: float, file: str) -> TimeAxis:
    """The axis of increasing `times`, datetime64 or numbers; `dt` serves where there is only one frame.

    Raises `FieldError` naming the first index that repeats, goes back or does not lie on the step.
    """
    valid_time = _nanoseconds(times, file) if times.dtype.kind == "M" else None
    lost = np.isnat(valid_time) if valid_time is not None else ~np.isfinite(times.astype(float))
    if lost.any():
        raise _bad_time(file, int(np.argmax(lost)), "no time")
    # exact in nanoseconds; since the first frame, as seconds since 1970 would lose digits
    past = (valid_time - valid_time[0]).astype(np.int64) / 1e9 if valid_time is not None else times.astype(float)
    steps = np.diff(past)
    if (steps <= 0).any():
        raise _bad_time(file, int(np.argmax(steps <= 0)) + 1, "a time that is not after the one before it")
    if len(steps):
        dt, whole = _uniform(steps, file)
    else:
        whole = np.zeros(0, dtype=int)
    origin = step_of(valid_time[0] if valid_time is not None else times[0], dt)
    place = origin + np.concatenate([[0], np.cumsum(whole)]).astype(int)
    cuts = (np.flatnonzero(whole > 1) + 1).tolist()
    return TimeAxis(
        float(dt),
        tuple((start, stop, int(place[start])) for start, stop in pairwise([0, *cuts, len(times)])),
        valid_time,
    )


def step_of(time: Shaped[np.ndarray, ""] | np.generic, dt: float) -> int:
    """Absolute step of a time: how many `dt` fit between 1970 (or zero) and it.

    Rounded down, so that daily means at noon get consecutive steps, but for times that miss the next one by rounding.
    """
    since = time.astype("datetime64[ns]").astype(np.int64) / 1e9 if time.dtype.kind == "M" else float(time)
    return math.floor(since / dt + TOLERANCE)


def _nanoseconds(times: Shaped[np.ndarray, "t"], file: str) -> Shaped[np.ndarray, "t"]:
    """The same instants in nanoseconds, which reach from 1677 to 2262; NumPy wraps others around without a word."""
    converted = times.astype("datetime64[ns]")
    wrapped = converted.astype(times.dtype) != times
    if (wrapped & ~np.isnat(times)).any():
        index = int(np.argmax(wrapped & ~np.isnat(times)))
        raise FieldError(
            "BAD_TIME",
            f"expected times from 1678 to 2261 in {file}, got {times[index]} at index {index}.",
            next_step="Save times of other centuries as numbers, such as days since the first.",
        )
    return converted


def _uniform(steps: Shaped[np.ndarray, "s"], file: str) -> tuple[float, Shaped[np.ndarray, "s"]]:
    """dt, and how many of it each step is."""
    # the smallest step is the step: gaps only make larger ones
    shortest = float(steps.min())
    ratio = steps / shortest
    # a ratio that no integer holds is refused with the others
    whole = np.rint(np.minimum(ratio, MOST_STEPS)).astype(int)
    off = np.abs(ratio - whole) > TOLERANCE
    if off.any():
        index = int(np.argmax(off))
        raise _bad_time(
            file, index + 1, f"a step of {steps[index]:g} that is no whole multiple of the shortest, {shortest:g},"
        )
    if (steps == shortest * whole).all():
        return shortest, whole
    # times rounded in the file: their errors cancel over the whole axis, and what is left is below six digits
    return float(f"{steps.sum() / whole.sum():.6g}"), whole


def _bad_time(file: str, index: int, found: str) -> FieldError:
    return FieldError(
        "TIME_NOT_UNIFORM",
        f"expected times on one uniform step in {file}, got {found} at index {index}.",
        next_step="Resample the file in time, or cut it there.",
    )
