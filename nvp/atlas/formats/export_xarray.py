"""Export to NetCDF 4 and Zarr, by the CF conventions: axes (time, y, x), lengths in the domain's unit.

Reference: CF-1.11, https://cfconventions.org.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Shaped

from nvp.atlas.formats.note import KEY, TOTALS
from nvp.atlas.series import Series
from nvp.atlas.sink import sink
from nvp.dynamics.domain import DomainSpec


def write_netcdf(path: Path, series: Series, domain: DomainSpec, note: str) -> None:
    """One NetCDF 4 file, a chunk for each frame."""
    dataset = as_dataset(series, domain, note)
    with sink(path) as target:
        dataset.to_netcdf(target, engine="h5netcdf", encoding=_encoding(dataset, chunks="chunksizes"))


def write_zarr(path: Path, series: Series, domain: DomainSpec, note: str) -> None:
    """One Zarr group; every chunk is written, so that one that is lost can be told."""
    dataset = as_dataset(series, domain, note)
    dataset.to_zarr(
        path,
        zarr_format=3,
        consolidated=False,
        mode="w-",
        write_empty_chunks=True,
        encoding=_encoding(dataset, chunks="chunks"),
    )


def as_dataset(series: Series, domain: DomainSpec, note: str) -> xr.Dataset:
    """The series as CF would have it; a field of several components has an axis for them."""
    T, H, W, _ = series.energy.shape
    fields = {"energy": series.energy, **series.context}
    variables: dict[str, tuple[tuple[str, ...], Shaped[np.ndarray, "..."], dict[str, Any]]] = {}
    for name, values in fields.items():
        units = {"energy": domain.units, "velocity": "cells per unit time"}.get(name)
        attributes = {} if units is None else {"units": units}
        if values.shape[-1] == 1:
            variables[name] = (("time", "y", "x"), values[..., 0].astype("<f4"), attributes)
        else:
            variables[name] = (("time", "y", "x", f"{name}_component"), values.astype("<f4"), attributes)
    for name in TOTALS:
        if (total := getattr(series, name)) is not None:
            variables[name] = (("time",), np.asarray(total, dtype="<f8"), {"units": domain.units})
    if series.valid_time is not None:
        times = series.valid_time.astype("datetime64[ns]").astype("<i8")
        time = (("time",), times, {"units": "nanoseconds since 1970-01-01", "calendar": "proleptic_gregorian"})
    else:
        time = (("time",), (series.first + np.arange(T)) * float(series.dt), {})
    coordinates = {
        "time": time,
        "y": (("y",), np.arange(H) * float(domain.dy), {"axis": "Y"}),
        "x": (("x",), np.arange(W) * float(domain.dx), {"axis": "X"}),
    }
    return xr.Dataset(
        variables,
        coords={
            name: (dims, values, {**said, "axis": name[0].upper()})
            for name, (dims, values, said) in coordinates.items()
        },
        attrs={"Conventions": "CF-1.11", "title": domain.title, KEY: note},
    )


def _encoding(dataset: xr.Dataset, *, chunks: str) -> dict[str, dict[str, Any]]:
    """No fill values: nothing is missing."""
    found: dict[str, dict[str, Any]] = {str(name): {"_FillValue": None} for name in dataset.variables}
    for name, array in dataset.data_vars.items():
        if array.ndim > 1:
            found[str(name)][chunks] = (1, *array.shape[1:])
    return found
