"""Import of `.npy` and `.npz`: arrays of axes (t, y, x) or (t, y, x, 1), and what NumPy users put beside them.

An `.npz` may hold, beside its variables, `valid_time` (datetime64, one per frame), `dt` and `units` (scalars).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped

from nvp.atlas.imported import Imported, choose
from nvp.atlas.time_axis import from_times, without_times
from nvp.errors import FieldError

_BESIDE = ("valid_time", "dt", "units")


def read_npy(path: Path, *, default_dt: float) -> Imported:
    """The one array of an `.npy` file; the variable's name is the file's stem."""
    try:
        with path.open("rb") as file:
            array = np.load(file, allow_pickle=False)
    except Exception as error:
        # a garbled header, zip or deflate stream raises what its parser raises: any of it means it cannot be read
        raise _damaged(path, error) from error
    values = _frames(array, path.name, path.stem)
    return Imported(
        file=path.name, variable=path.stem, units="", values=values, time=without_times(len(values), dt=default_dt)
    )


def read_npz(path: Path, *, variable: str | None, default_dt: float) -> Imported:
    """One array of an `.npz` file, with `valid_time`, `dt` and `units` where it has them."""
    try:
        # opened by us: np.load leaves the file open when it fails
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            name = choose(variable, [key for key in archive.files if key not in _BESIDE], path.name)
            values = _frames(archive[name], path.name, name)
            beside = {key: archive[key] for key in _BESIDE if key in archive.files}
    except FieldError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error
    dt = _step(beside["dt"], path.name) if "dt" in beside else default_dt
    if "valid_time" in beside:
        times = beside["valid_time"]
        if times.shape != (len(values),) or times.dtype.kind not in "Miuf":
            raise FieldError(
                "BAD_TIME",
                f"expected valid_time of {path.name} as {len(values)} times, got {times.dtype} of shape {times.shape}.",
                next_step="Save datetime64, or leave it out and give dt.",
            )
        time = from_times(times, dt=dt, file=path.name)
    else:
        time = without_times(len(values), dt=dt)
    return Imported(file=path.name, variable=name, units=str(beside.get("units", "")), values=values, time=time)


def _step(dt: Shaped[np.ndarray, "..."], file: str) -> float:
    if dt.shape == () and dt.dtype.kind in "fiu" and dt > 0 and math.isfinite(dt):
        return float(dt)
    raise FieldError(
        "BAD_DT",
        f"expected dt as one finite number above 0 in {file}, got {np.array2string(dt, threshold=3)}.",
        next_step="Correct the file.",
    )


def _frames(array: Shaped[np.ndarray, "..."] | bytes, file: str, variable: str) -> Float32[np.ndarray, "t h w c"]:
    if isinstance(array, bytes):  # what an archive returns of a member that is no array
        array = np.array(array)
    if array.dtype.kind not in "fiu" or array.ndim not in (3, 4) or array.size == 0:
        raise FieldError(
            "BAD_SHAPE",
            f"expected numbers on axes (t, y, x) or (t, y, x, c) in {variable!r} of {file}, got "
            f"{array.dtype} of shape {array.shape}.",
            next_step="Bring the array onto these axes.",
        )
    # a number beyond float32 becomes infinite, which the checks report with its index
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(array, dtype=np.float32)
    return values if values.ndim == 4 else values[..., None]


def _damaged(path: Path, error: Exception) -> FieldError:
    return FieldError(
        "FILE_DAMAGED",
        f"cannot read {path}: {' '.join(str(error).split())[:300]}.",
        next_step="Is it complete? Copy it again.",
    )
