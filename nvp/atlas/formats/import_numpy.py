"""Import of `.npy` and `.npz`: arrays of axes (t, y, x) or (t, y, x, c), and what NumPy users put beside them.

An `.npy` may have a sidecar (`sidecar.py`). An `.npz` may hold, beside its variables, `valid_time` (datetime64, one per
frame), `dt` and `units` (scalars); one that was exported holds a note of everything (`note.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped

from nvp.atlas.formats.imported import Imported, as_field
from nvp.atlas.formats.note import KEY, TOTALS, Note, noted, parse_note
from nvp.atlas.formats.sidecar import read_sidecar
from nvp.atlas.time_axis import from_times, without_times
from nvp.errors import FieldError

_BESIDE = ("valid_time", "dt", "units", KEY, *TOTALS)


@contextmanager
def open_npy(path: Path, default_dt: float) -> Iterator[_Npy]:
    """The one array of an `.npy` file; the variable's name is the file's stem."""
    with path.open("rb") as file:
        yield _Npy(path, np.load(file, allow_pickle=False), default_dt)


@contextmanager
def open_npz(path: Path, default_dt: float) -> Iterator[_Npz]:
    """The arrays of an `.npz` file."""
    # opened by us: np.load leaves the file open when it fails
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        yield _Npz(path.name, archive, default_dt)


@dataclass(frozen=True, slots=True)
class _Npy:
    path: Path
    array: Shaped[np.ndarray, "..."]
    default_dt: float

    @property
    def file(self) -> str:
        return self.path.name

    def present(self) -> list[str]:
        return [self.path.stem]

    def candidates(self) -> list[str]:
        return [self.path.stem]

    def read(self, name: str) -> Imported:
        beside = read_sidecar(self.path)
        values = _frames(self.array, self.file, name)
        time = beside.time(len(values), default_dt=self.default_dt, file=self.path.with_suffix(".json").name)
        return Imported(
            file=self.file, variable=name, units=beside.units, values=values, time=time, domain=beside.domain
        )


@dataclass(frozen=True, slots=True)
class _Npz:
    file: str
    archive: Mapping[str, Shaped[np.ndarray, "..."]]
    default_dt: float

    def present(self) -> list[str]:
        return [key for key in self.archive if key not in _BESIDE]

    def candidates(self) -> list[str]:
        note = self._note()
        return self.present() if note is None else [note.variable]

    def read(self, name: str) -> Imported:
        note = self._note()
        if note is not None and name == note.variable:
            return noted(
                note,
                file=self.file,
                array=lambda key: _frames(self._get(key), self.file, key),
                valid_time=self._get("valid_time") if "valid_time" in self.archive else None,
                totals={key: self._get(key) for key in TOTALS if key in self.archive},
            )
        values = _frames(self._get(name), self.file, name)
        dt = _step(self._get("dt"), self.file) if "dt" in self.archive else self.default_dt
        if "valid_time" in self.archive:
            times = self._get("valid_time")
            if times.shape != (len(values),) or times.dtype.kind not in "Miuf":
                raise FieldError(
                    "BAD_TIME",
                    f"expected valid_time of {self.file} as {len(values)} times, got {times.dtype} of shape "
                    f"{times.shape}.",
                    next_step="Save datetime64, or leave it out and give dt.",
                )
            time = from_times(times, dt=dt, file=self.file)
        else:
            time = without_times(len(values), dt=dt)
        units = str(self._get("units")) if "units" in self.archive else ""
        return Imported(
            file=self.file,
            variable=name,
            units=units,
            values=values,
            time=time,
            simulated=note is not None and note.simulated,
        )

    def _note(self) -> Note | None:
        return parse_note(str(self._get(KEY)), self.file) if KEY in self.archive else None

    def _get(self, name: str) -> Shaped[np.ndarray, "..."]:
        if name not in self.archive:
            raise FieldError(
                "NO_VARIABLE", f"expected an array {name!r} in {self.file}, found none.", next_step="Export it again."
            )
        # what an archive returns of a member that is no array is bytes
        return np.asarray(self.archive[name])


def _step(dt: Shaped[np.ndarray, "..."], file: str) -> float:
    if dt.shape == () and dt.dtype.kind in "fiu" and dt > 0 and math.isfinite(dt):
        return float(dt)
    raise FieldError(
        "BAD_DT",
        f"expected dt as one finite number above 0 in {file}, got {np.array2string(dt, threshold=3)}.",
        next_step="Correct the file.",
    )


def _frames(array: Shaped[np.ndarray, "..."], file: str, variable: str) -> Float32[np.ndarray, "t h w c"]:
    if array.dtype.kind not in "fiu" or array.ndim not in (3, 4) or array.size == 0:
        raise FieldError(
            "BAD_SHAPE",
            f"expected numbers on axes (t, y, x) or (t, y, x, c) in {variable!r} of {file}, got "
            f"{array.dtype} of shape {array.shape}.",
            next_step="Bring the array onto these axes.",
        )
    values = as_field(array)
    return values if values.ndim == 4 else values[..., None]
