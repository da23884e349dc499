"""Import of HDF5: The Well's layout, NetCDF 4, or any dataset by its path, such as `/runs/3/energy`.

A plain dataset says its axes by `axes` (an attribute such as "t,y,x", or what the user gives), by the labels of its
dimensions, or not at all: then they are (t, y, x) or (t, y, x, c). The attributes `dt` and `units`, of the dataset or
of the file, say the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nvp.atlas.formats.imported import Imported, Source, as_field
from nvp.atlas.time_axis import without_times
from nvp.errors import FieldError

# what people call the axes
_AXES = {"t": "t", "time": "t", "y": "y", "h": "y", "x": "x", "w": "x", "c": "c", "channel": "c", "component": "c"}


@contextmanager
def open_hdf5(
    path: Path, default_dt: float, *, axes: str | None, trajectory: int | None, group: str = ""
) -> Iterator[Source]:
    """The reader that the file's content asks for; `group` is where in a NetCDF file the variables lie."""
    with h5py.File(path, "r", locking=False) as file:
        from nvp.atlas.formats.well_read import is_well, open_well

        if is_well(file):
            yield open_well(file, path.name, default_dt, trajectory=trajectory)
            return
        if axes is not None or not _is_netcdf(file):
            yield _Plain(path.name, file, default_dt, axes)
            return
    # xarray takes a second to import, which only its own formats should cost
    from nvp.atlas.formats.import_xarray import open_netcdf

    with open_netcdf(path, default_dt, group=group) as source:
        yield source


def text(value: Any) -> str:
    """An attribute as text: HDF5 has bytes, strings and arrays of one."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(())[()]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _is_netcdf(file: h5py.File) -> bool:
    """NetCDF 4 gives each dimension a dataset, and refers to them."""
    return "_NCProperties" in file.attrs or any(
        "DIMENSION_LIST" in item.attrs or text(item.attrs.get("CLASS", "")) == "DIMENSION_SCALE"
        for item in file.values()
        if isinstance(item, h5py.Dataset)
    )


@dataclass(frozen=True, slots=True)
class _Plain:
    file: str
    opened: h5py.File
    default_dt: float
    axes: str | None

    def present(self) -> list[str]:
        return [name for name, data in self._datasets().items() if data.dtype.kind in "fiu"]

    def candidates(self) -> list[str]:
        return [name for name in self.present() if self._datasets()[name].ndim in (3, 4)]

    def read(self, name: str) -> Imported:
        data = self._datasets()[name]
        roles = self._roles(data, name)
        if data.size == 0:
            raise FieldError("BAD_SHAPE", f"expected numbers in {name!r} of {self.file}, got shape {data.shape}.")
        order = [roles.index(role) for role in ("t", "y", "x", "c") if role in roles]
        values = as_field(data[()].transpose(order))
        values = values if "c" in roles else values[..., None]
        return Imported(
            file=self.file,
            variable=name,
            units=text(self._said(data, "units", "")),
            values=values,
            time=without_times(len(values), dt=self._dt(data)),
        )

    def _datasets(self) -> dict[str, h5py.Dataset]:
        """By path; those of the root by name, as in other formats."""
        found: dict[str, h5py.Dataset] = {}

        def visit(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                found[f"/{name}" if "/" in name else name] = item

        self.opened.visititems(visit)
        return found

    def _roles(self, data: h5py.Dataset, name: str) -> list[str]:
        said = self.axes or text(data.attrs.get("axes", "")) or ",".join(dim.label for dim in data.dims)
        given = [part.strip().lower() for part in said.strip("()[] ").split(",")]
        roles = [_AXES.get(part, part) for part in given] if any(given) else list("tyxc")[: data.ndim]
        if len(roles) != data.ndim or len(set(roles)) != len(roles) or not {"t", "y", "x"} <= set(roles) <= set("tyxc"):
            raise FieldError(
                "BAD_AXES",
                f"expected axes t, y, x (and c) of {name!r} in {self.file}, got ({', '.join(roles)}) for shape "
                f"{data.shape}.",
                next_step="Name them in order by --axes, such as --axes t,y,x.",
            )
        return roles

    def _dt(self, data: h5py.Dataset) -> float:
        dt = self._said(data, "dt", self.default_dt)
        try:
            number = float(np.asarray(dt).reshape(()))
        except (TypeError, ValueError):
            number = math.nan
        if not (math.isfinite(number) and number > 0):
            raise FieldError(
                "BAD_DT",
                f"expected dt as one finite number above 0 in {self.file}, got {text(dt)[:60]}.",
                next_step="Correct the attribute, or give --dt where there is none.",
            )
        return number

    def _said(self, data: h5py.Dataset, name: str, default: Any) -> Any:
        return data.attrs.get(name, self.opened.attrs.get(name, default))
