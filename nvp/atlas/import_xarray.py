"""Import of NetCDF (4 and classic) and Zarr, through xarray.

Axes are found by the CF conventions (attributes `axis`, `standard_name`, `units`) and by the usual names; a file that
names none of its axes is taken in the order it has them. Reference: CF-1.11, chapters 4 and 5, https://cfconventions.org.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xarray as xr
from jaxtyping import Float32

from nvp.atlas.imported import Imported, choose
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


def read_dataset(path: Path, *, variable: str | None, default_dt: float) -> Imported:
    """One variable of a NetCDF file or a Zarr group."""
    try:
        # times are decoded by us: a calendar that NumPy does not have must not stop the rest
        with _opened(path) as (opened, engine), xr.open_dataset(opened, decode_times=False, **engine) as dataset:
            name = choose(variable, _candidates(dataset, variable), path.name)
            array = _on_axes(dataset[name], path.name)
            units = str(array.attrs.get("units", ""))
            time = _time(array, path.name, default_dt)
            values = _values(array)
    except FieldError:
        raise
    except Exception as error:
        # xarray's engines raise what their libraries raise: any of it means that the file cannot be read
        raise FieldError(
            "FILE_DAMAGED",
            f"cannot read {path}: {' '.join(str(error).split())[:300]}.",
            next_step="Is it complete? Copy it again.",
        ) from error
    return Imported(file=path.name, variable=name, units=units, values=values, time=time)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Path | BinaryIO, dict[str, Any]]]:
    """What xarray is to open, and how; closed on the way out, which the readers do not do when they fail."""
    if path.is_dir():
        yield path, {"engine": "zarr", "consolidated": False, "chunks": None}
        return
    with path.open("rb") as file:
        magic = file.read(8)
        file.seek(0)
        if magic.startswith(b"\x89HDF"):
            # phony_dims: plain HDF5 files do not name their axes
            yield path, {"engine": "h5netcdf", "phony_dims": "sort"}
        elif magic.startswith(b"CDF"):
            yield file, {"engine": "scipy"}
        else:
            raise FieldError(
                "UNKNOWN_FORMAT",
                f"expected NetCDF, Zarr, .npy or .npz, got {path} which is none of them.",
                next_step="Convert it to one of these.",
            )


def _candidates(dataset: xr.Dataset, variable: str | None) -> list[str]:
    """All variables where one is asked for by name; else those that could be a field in time."""
    names = [str(name) for name, array in dataset.data_vars.items() if array.dtype.kind in "fiu"]
    return names if variable is not None else [name for name in names if len(dataset[name].dims) >= 3]


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
        decoded = xr.decode_cf(coordinate.to_dataset(name="times").drop_vars(dim))["times"]
        return from_times(decoded.values, dt=default_dt, file=file)
    # a year of 360 days has no place in the civil calendar: dt in seconds is known, the date is not
    scale = _SECONDS.get(unit.strip().lower().removesuffix("s") or unit)
    if scale is None:
        raise FieldError(
            "BAD_TIME",
            f"expected times of {file} in seconds, minutes, hours or days, got {units!r}.",
            next_step="Convert the time axis.",
        )
    return from_times(coordinate.values.astype(float) * scale, dt=default_dt, file=file)


def _values(array: xr.DataArray) -> Float32[np.ndarray, "t h w c"]:
    # a number beyond float32 becomes infinite, which the checks report with its index
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array.values, dtype=np.float32)[..., None]
