"""Writing The Well's HDF5: series on axes (t, y, x) become trajectories on axes (B, T, x, y) of one file.

An energy and single fields become t0 fields, vectors t1, tensors t2; parameters and totals become scalars; the domain's
boundaries become masks at both edges of their axis. Lengths are counted in cells, so that a velocity keeps its numbers.
A group `fieldgraph` holds what the layout has no place for (`note.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float, Float32

from nvp.atlas.formats.note import KEY, TOTALS, note_of
from nvp.atlas.series import Series
from nvp.atlas.sink import sink
from nvp.dynamics.domain import DomainSpec
from nvp.errors import FieldError

ENERGY = "energy"
# how many components make a scalar, a vector and a tensor of two dimensions
_ORDERS = {1: 0, 2: 1, 4: 2}
_TEXT = h5py.string_dtype()


def write_well(path: Path, series: Sequence[Series], domain: DomainSpec, *, name: str, simulated: bool = False) -> None:
    """Write `series` of one grid, step and length as the trajectories of a new file; `name` is the data set's.

    Raises `FieldError` where they differ in what all trajectories share.
    """
    _check(series)
    with sink(path) as target, h5py.File(target, "w") as file:
        head = series[0]
        T, H, W, _ = head.energy.shape
        file.attrs.update(
            {
                "dataset_name": name,
                "grid_type": "cartesian",
                "n_spatial_dims": 2,
                "n_trajectories": len(series),
                "simulation_parameters": np.array(
                    [n for n in sorted(head.parameters) if not _varies(series, n)], _TEXT
                ),
            }
        )
        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = np.array(["x", "y"], dtype=_TEXT)
        # float32, as there: the note has the step in full
        _dataset(dimensions, "time", np.arange(T) * head.dt, sample_varying=False)
        _dataset(dimensions, "x", np.arange(W), sample_varying=False, time_varying=False)
        _dataset(dimensions, "y", np.arange(H), sample_varying=False, time_varying=False)
        _write_boundaries(file.create_group("boundary_conditions"), domain, sizes={"x": W, "y": H})
        _write_scalars(file, series)
        _write_fields(file, series)
        group = file.create_group(KEY)
        notes = [note_of(one, units=domain.units, variable=ENERGY, simulated=simulated).to_text() for one in series]
        group.create_dataset("notes", data=np.array(notes, dtype=object), dtype=_TEXT)
        if head.valid_time is not None:
            times = np.stack([np.asarray(one.valid_time).astype("datetime64[ns]").astype("<i8") for one in series])
            group.create_dataset("valid_time", data=times)
            group["valid_time"].attrs["units"] = "nanoseconds since 1970-01-01"


def _check(series: Sequence[Series]) -> None:
    """Trajectories of one file share grid, times' number and step, fields and scalars."""
    head = series[0]
    for one in series:
        for what, got, expected in (
            ("shape", one.energy.shape, head.energy.shape),
            ("step", one.dt, head.dt),
            ("domain", one.domain, head.domain),
            ("context", _channels(one), _channels(head)),
            ("parameters", sorted(one.parameters), sorted(head.parameters)),
            ("calendar", one.valid_time is not None, head.valid_time is not None),
            ("totals", _totals(one), _totals(head)),
        ):
            if got != expected:
                raise FieldError(
                    "NOT_ONE_FILE",
                    f"expected sequences of one {what}, got {expected} and {got}.",
                    next_step="Export them to files of their own.",
                )
    for name, channels in {ENERGY: head.energy.shape[-1], **_channels(head)}.items():
        if channels not in _ORDERS:
            raise FieldError(
                "BAD_CONTEXT",
                f"expected 1, 2 or 4 components of {name!r}, as The Well has, got {channels}.",
                next_step="Choose --format netcdf, zarr or npz.",
            )
    if ENERGY in head.context:
        raise FieldError("BAD_CONTEXT", f"expected context of other names than {ENERGY!r}.")
    for name in head.parameters:
        if name in (*TOTALS, "field_names") or "/" in name:
            raise FieldError("BAD_PARAMETER", f"expected a parameter of another name, got {name!r}.")


def _channels(one: Series) -> dict[str, int]:
    return {name: values.shape[-1] for name, values in sorted(one.context.items())}


def _totals(one: Series) -> list[str]:
    return [name for name in TOTALS if getattr(one, name) is not None]


def _varies(series: Sequence[Series], parameter: str) -> bool:
    """Whether it differs from trajectory to trajectory."""
    return len({float(one.parameters[parameter]) for one in series}) > 1


def _write_fields(file: h5py.File, series: Sequence[Series]) -> None:
    """Each order has its group, which is there even where it is empty."""
    groups = [file.create_group(f"t{order}_fields") for order in range(3)]
    names: list[list[str]] = [[], [], []]
    for name in (ENERGY, *sorted(series[0].context)):
        fields = [one.energy if name == ENERGY else one.context[name] for one in series]
        T, H, W, C = fields[0].shape
        order = _ORDERS[C]
        names[order].append(name)
        data = groups[order].create_dataset(
            name,
            shape=(len(series), T, W, H, *[2] * order),
            dtype="<f4",
            chunks=(1, 1, W, H, *[2] * order),
        )
        for trajectory, values in enumerate(fields):
            data[trajectory] = _transposed(values, order)
        data.attrs.update({"dim_varying": [True, True], "sample_varying": True, "time_varying": True})
        if order == 2:
            data.attrs.update({"symmetric": False, "antisymmetric": False})
    for group, listed in zip(groups, names, strict=True):
        group.attrs["field_names"] = np.array(listed, dtype=_TEXT)


def _transposed(values: Float[np.ndarray, "t h w c"], order: int) -> Float32[np.ndarray, "t w h ..."]:
    """x before y, as there; components are in the order x, y on both sides."""
    turned = np.ascontiguousarray(values.astype("<f4").transpose(0, 2, 1, 3))
    return turned.reshape(*turned.shape[:3], *[2] * order)


def _write_scalars(file: h5py.File, series: Sequence[Series]) -> None:
    group = file.create_group("scalars")
    head = series[0]
    for name in sorted(head.parameters):
        values = [float(one.parameters[name]) for one in series]
        varies = _varies(series, name)
        _dataset(group, name, np.array(values if varies else values[0]), sample_varying=varies, time_varying=False)
        if not varies and name not in file.attrs:
            file.attrs[name] = values[0]
    for name in _totals(head):
        totals = np.stack([np.asarray(getattr(one, name), dtype=np.float64) for one in series])
        # in full: a budget that closes in float64 does not in float32
        _dataset(group, name, totals, sample_varying=True, time_varying=True, dtype="<f8")
    group.attrs["field_names"] = np.array([*sorted(head.parameters), *_totals(head)], dtype=_TEXT)


def _write_boundaries(group: h5py.Group, domain: DomainSpec, *, sizes: dict[str, int]) -> None:
    """What holds at both edges of each axis."""
    for dim, size in sizes.items():
        kind = domain.boundary_x if dim == "x" else domain.boundary_y
        item = group.create_group(f"{dim}_{kind}")
        item.attrs.update(
            {
                "associated_dims": np.array([dim], dtype=_TEXT),
                "associated_fields": np.array([], dtype=_TEXT),
                "bc_type": kind,
                "sample_varying": False,
                "time_varying": False,
            }
        )
        mask = np.zeros(size, dtype=bool)
        mask[[0, -1]] = True
        item.create_dataset("mask", data=mask)
        # values at the edge, where a condition has some: none of these has
        item.create_dataset("values", data=np.zeros(2, "<f4"))


def _dataset(group: h5py.Group, name: str, values: np.ndarray, *, dtype: str = "<f4", **attributes: bool) -> None:
    group.create_dataset(name, data=values, dtype=dtype)
    group[name].attrs.update(attributes)
