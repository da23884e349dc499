"""Import of NetCDF (4 and classic) and Zarr, through xarray.

Axes are found by the CF conventions (attributes `axis`, `standard_name`, `units`) and by the usual names; a file that
names none of its axes is taken in the order it has them. Packed values are unpacked and missing ones become NaN.
Reference: CF-1.11, chapters 2.5, 4, 5 and 8, https://cfconventions.org.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Shaped

from nvp.atlas.formats.imported import Imported, Spacing, as_field
from nvp.atlas.formats.note import KEY, TOTALS, Note, noted, parse_note
from nvp.atlas.time_axis import TimeAxis, from_times, without_times
from nvp.errors import FieldError

# names by which people call the axes, beside what CF attributes say
_NAMES = {
    "time": {"time", "t", "valid_time", "date", "datetime"},
    "y": {
        "y",
        "lat",
        "latitude",
        "grid_latitude",
        "rlat",
        "nlat",
        "south_north",
        "projection_y_coordinate",
        "row",
        "j",
    },
    "x": {
        "x",
        "lon",
        "longitude",
        "grid_longitude",
        "rlon",
        "nlon",
        "west_east",
        "projection_x_coordinate",
        "col",
        "i",
    },
}
_AXIS = {"T": "time", "Y": "y", "X": "x"}
_SECONDS = {
    "second": 1.0,
    "sec": 1.0,
    "s": 1.0,
    "minute": 60.0,
    "min": 60.0,
    "hour": 3600.0,
    "hr": 3600.0,
    "h": 3600.0,
    "day": 86_400.0,
    "d": 86_400.0,
}
# of the sphere that stands for the Earth (IUGG mean), in metres
_EARTH = 6_371_008.8
_METRES = {"m": 1.0, "metre": 1.0, "metres": 1.0, "meter": 1.0, "meters": 1.0, "km": 1e3, "kilometre": 1e3}


@contextmanager
def open_netcdf(path: Path, default_dt: float, *, group: str = "") -> Iterator[CFSource]:
    """NetCDF: 4, which is HDF5 (`group` is the path of one of its groups, "" the root), or classic."""
    with path.open("rb") as file:
        classic = file.read(3) == b"CDF"
        file.seek(0)
        # phony_dims: HDF5 files that are no NetCDF do not name their axes
        # times are decoded by us: a calendar that NumPy does not have must not stop the rest
        engine: dict[str, Any] = {"decode_times": False, "engine": "scipy"}
        if not classic:
            engine |= {"engine": "h5netcdf", "phony_dims": "sort"}
        with xr.open_dataset(file if classic else path, **engine) as dataset:
            if classic or not group:
                yield CFSource(path.name, dataset, default_dt)
                return
            with xr.open_dataset(path, group=group, **engine) as inner:
                # coordinates hold for the groups below
                outer = {str(dim): dataset[dim] for dim in inner.dims if dim in dataset.variables}
                yield CFSource(path.name, inner.assign_coords(outer), default_dt, prefix=f"/{group}/")


@contextmanager
def open_zarr(path: Path, default_dt: float, *, fill_absent: bool) -> Iterator[CFSource]:
    """A Zarr group; unless `fill_absent`, a chunk that is not there is an error and not the fill value."""
    import zarr

    group = zarr.open_group(path, mode="r")

    def whole(name: str) -> None:
        array = group[name]
        if isinstance(array, zarr.Array) and not fill_absent and array.nchunks_initialized < array.nchunks:
            raise FieldError(
                "CHUNKS_MISSING",
                f"expected {array.nchunks} chunks of {name!r} in {path.name}, found {array.nchunks_initialized}: the "
                f"others would read as {array.fill_value}.",
                next_step="Copy it again, or say by --fill-absent that empty chunks were left out when it was written.",
            )

    with xr.open_dataset(path, decode_times=False, engine="zarr", consolidated=False, chunks=None) as dataset:
        yield CFSource(path.name, dataset, default_dt, whole)


@dataclass(frozen=True, slots=True)
class CFSource:
    """The variables of a dataset."""

    file: str
    dataset: xr.Dataset
    default_dt: float
    # raises where a variable is not there in full
    whole: Callable[[str], None] = lambda _: None
    # before each name: the path of the group
    prefix: str = ""

    def present(self) -> list[str]:
        return [f"{self.prefix}{name}" for name, array in self.dataset.data_vars.items() if array.dtype.kind in "fiu"]

    def candidates(self) -> list[str]:
        note = self._note()
        if note is not None:
            return [note.variable]
        # edges of cells are coordinates, not fields
        edges = {str(array.attrs.get("bounds", "")) for array in self.dataset.variables.values()}
        rank = {
            name: self.dataset[own].ndim
            for name in self.present()
            if (own := name.removeprefix(self.prefix)) not in edges
        }
        # a single state has no axis of time
        return [n for n, ndim in rank.items() if ndim >= 3] or [n for n, ndim in rank.items() if ndim == 2]

    def read(self, name: str) -> Imported:
        note = self._note()
        if note is not None and name == note.variable:
            return self._noted(note)
        self.whole(name)
        array = _on_axes(self.dataset[name.removeprefix(self.prefix)], self.file)
        for dim in array.dims:
            if dim in self.dataset.variables:
                self.whole(str(dim))
        return Imported(
            file=self.file,
            variable=name,
            units=str(array.attrs.get("units", "")),
            values=as_field(array.values)[..., None],
            time=_time(array, self.file, self.default_dt),
            spacing=_spacing(array),
            simulated=note is not None and note.simulated,
        )

    def _note(self) -> Note | None:
        return parse_note(str(self.dataset.attrs[KEY]), self.file) if KEY in self.dataset.attrs else None

    def _noted(self, note: Note) -> Imported:
        def array(name: str) -> Shaped[np.ndarray, "..."]:
            if name not in self.dataset.variables:
                raise FieldError(
                    "NO_VARIABLE", f"expected {name!r} in {self.file}, found none.", next_step="Export it again."
                )
            self.whole(name)
            return self.dataset[name].values

        times = self.dataset["time"] if "time" in self.dataset.variables else None
        valid_time = None
        if times is not None and " since " in str(times.attrs.get("units", "")):
            self.whole("time")
            valid_time = _decoded(times)
        return noted(
            note,
            file=self.file,
            array=array,
            valid_time=valid_time,
            totals={name: array(name) for name in TOTALS if name in self.dataset.variables},
        )


def _on_axes(array: xr.DataArray, file: str) -> xr.DataArray:
    """The array on (time, y, x); axes of length 1 that are none of these are dropped."""
    roles: dict[str, str] = {}
    for dim in array.dims:
        role = _role(array, str(dim))
        if role is not None:
            roles.setdefault(role, str(dim))
    spare = [dim for dim in array.dims if dim not in roles.values()]
    if roles:
        array = array.squeeze([dim for dim in spare if array.sizes[dim] == 1], drop=True)
    elif array.ndim == 3:
        roles = dict(zip(_NAMES, map(str, array.dims), strict=True))
    if "time" not in roles and {"y", "x"} <= set(roles) and array.ndim == 2:
        # a single state
        array, roles = array.expand_dims("time"), {**roles, "time": "time"}
    if set(roles) != set(_NAMES) or array.ndim != 3 or array.size == 0:
        sizes = ", ".join(f"{dim}: {size}" for dim, size in array.sizes.items())
        raise FieldError(
            "BAD_AXES",
            f"expected axes time, y and x of {str(array.name)!r} in {file}, got ({sizes}).",
            next_step="Select one level or member, and name the axes time, y (latitude) and x (longitude).",
        )
    return array.transpose(*(roles[axis] for axis in _NAMES))


def _role(array: xr.DataArray, dim: str) -> str | None:
    attributes = array.coords[dim].attrs if dim in array.coords else {}
    if (axis := str(attributes.get("axis", "")).upper()) in _AXIS:
        return _AXIS[axis]
    standard, units = str(attributes.get("standard_name", "")), str(attributes.get("units", ""))
    for role, names in _NAMES.items():
        if dim.lower() in names or standard in names:
            return role
    if re.match(r"degrees?_?n(orth)?$", units, re.IGNORECASE):
        return "y"
    if re.match(r"degrees?_?e(ast)?$", units, re.IGNORECASE):
        return "x"
    return "time" if " since " in units else None


def _time(array: xr.DataArray, file: str, default_dt: float) -> TimeAxis:
    dim = array.dims[0]
    if dim not in array.coords:
        return without_times(array.sizes[dim], dt=default_dt)
    coordinate = array.coords[dim]
    units = str(coordinate.attrs.get("units", ""))
    unit, since, _ = units.partition(" since ")
    if not since:
        return from_times(coordinate.values, dt=default_dt, file=file)
    calendar = str(coordinate.attrs.get("calendar", "standard")).lower()
    if calendar in ("standard", "gregorian", "proleptic_gregorian"):
        return from_times(_decoded(coordinate), dt=default_dt, file=file)
    # a year of 360 days has no place in the civil calendar: dt in seconds is known, the date is not
    scale = _SECONDS.get(unit.strip().lower().removesuffix("s") or unit)
    if scale is None:
        raise FieldError(
            "BAD_TIME",
            f"expected times of {file} in seconds, minutes, hours or days, got {units!r}.",
            next_step="Convert the time axis.",
        )
    return from_times(coordinate.values.astype(float) * scale, dt=default_dt, file=file)


def _decoded(times: xr.DataArray) -> Shaped[np.ndarray, "t"]:
    """The instants of a time coordinate of the civil calendar."""
    (dim,) = times.dims
    decoded: Shaped[np.ndarray, "t"] = xr.decode_cf(times.to_dataset(name="times").drop_vars(str(dim)))["times"].values
    return decoded


def _spacing(array: xr.DataArray) -> Spacing | None:
    """Distances between cells, where both coordinates are uniform; degrees are taken on a sphere."""
    y, x = (array.coords.get(dim) for dim in array.dims[1:])
    if y is None or x is None:
        return None
    dy, dx = _step(y.values), _step(x.values)
    if dx is None or dy is None:
        return None
    units = [str(coordinate.attrs.get("units", "")).strip() for coordinate in (y, x)]
    if all(unit.startswith("degree") for unit in units):
        radian = _EARTH * np.pi / 180
        return Spacing(radian * dx * np.cos(np.deg2rad(y.values.astype(float))), radian * dy, metres=True)
    if all(unit in _METRES for unit in units):
        return Spacing(_METRES[units[1]] * dx, _METRES[units[0]] * dy, metres=True)
    return Spacing(dx, dy) if units[0] == units[1] else None


def _step(coordinate: Shaped[np.ndarray, "n"]) -> float | None:
    if len(coordinate) < 2 or coordinate.dtype.kind not in "fiu":
        return None
    steps = np.diff(coordinate.astype(float))
    mean = float(steps.mean())
    return mean if mean != 0 and np.allclose(steps, mean, rtol=1e-3, atol=0) else None
