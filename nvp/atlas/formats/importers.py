"""Importers: variables of a file become series on the axes (t, y, x, c).

`read_file` chooses by the file's first bytes and its suffix: The Well's HDF5, other HDF5, NetCDF, Zarr, GRIB, `.npy`
and `.npz`. What a file does not say is left open (`units`, `valid_time`); values are neither checked nor changed here,
except that an energy may be formed from several variables and a velocity be brought into cells per unit time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from nvp.atlas.formats.imported import Imported, Source, Spacing, as_field, choose, reading
from nvp.atlas.formats.recipe import Recipe, parse_recipe
from nvp.atlas.formats.units import conversion
from nvp.errors import FieldError

VELOCITY = "velocity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to take of a file."""

    # the field: a variable (of plain HDF5 the path of a dataset), or a recipe for it
    variable: str | None = None
    energy: str | None = None
    # variables to keep beside it, by name, and those that are its velocity along x and y
    context: tuple[str, ...] = ()
    velocity: tuple[str, str] | None = None
    # distance between columns and between rows in the velocity's unit of length, where the file is silent
    dx: float | None = None
    dy: float | None = None
    # step between frames, where the file is silent
    dt: float | None = None
    # names of the axes in order, such as "t,y,x", where the file is silent
    axes: str | None = None
    # of a file of several, counted from 0
    trajectory: int | None = None
    # Zarr: chunks that are absent mean the fill value
    fill_absent: bool = False


def read_file(
    path: Path, *, variable: str | None = None, default_dt: float = 1.0, wanted: Wanted | None = None
) -> Imported:
    """Read a field of `path` into memory, float32, with the context that is asked for or that the file declares.

    `variable` may be left out where there is only one candidate; `default_dt` serves where neither the file nor
    `wanted` says a step. Raises `FieldError` for a missing or damaged file, an unknown format, a missing variable
    (listing those present), axes that are not time, y and x, and times that are not uniform.
    """
    wanted = wanted or Wanted(variable=variable)
    _check(wanted)
    with reading(path), _opened(path, wanted, default_dt if wanted.dt is None else wanted.dt) as source:
        field = _field(source, wanted)
        if wanted.dt is not None and abs(field.time.dt - wanted.dt) > 1e-6 * wanted.dt:
            raise FieldError(
                "BAD_DT",
                f"expected a step of {wanted.dt:g} in {field.file}, got times {field.time.dt:g} apart.",
                next_step="Leave out --dt where the file has times.",
            )
        context = dict(field.context)
        for name in wanted.context:
            context[name.rpartition("/")[2]] = _beside(source, field, name, "--context").values
        if wanted.velocity is not None:
            context[VELOCITY] = _velocity(source, field, wanted)
    return replace(field, context=context)


def trajectories(path: Path) -> int | None:
    """How many trajectories a file of The Well holds; None for other files."""
    if not path.is_file() or not _begins(path).startswith(b"\x89HDF"):
        return None
    import h5py

    from nvp.atlas.formats.well_read import count, is_well

    with reading(path), h5py.File(path, "r", locking=False) as file:
        return count(file, path.name) if is_well(file) else None


@contextmanager
def _opened(path: Path, wanted: Wanted, dt: float) -> Iterator[Source]:
    """The reader of the file's format; the libraries are imported where they are needed."""
    if not path.exists():
        raise FieldError("FILE_MISSING", f"expected a file at {path}, found none.", next_step="Check the path.")
    if not (path.is_file() or path.is_dir()):
        # a pipe would be waited for without end
        raise FieldError(
            "UNKNOWN_FORMAT", f"expected a file or a folder, got {path}.", next_step="Save it as a file first."
        )
    magic = _begins(path)
    if path.suffix in (".npy", ".npz"):
        from nvp.atlas.formats import import_numpy

        opener = import_numpy.open_npy if path.suffix == ".npy" else import_numpy.open_npz
        with opener(path, dt) as source:
            yield source
    elif magic.startswith(b"\x89HDF"):
        from nvp.atlas.formats.import_hdf5 import open_hdf5

        group = (wanted.variable or "").strip("/").rpartition("/")[0]
        with open_hdf5(path, dt, axes=wanted.axes, trajectory=wanted.trajectory, group=group) as source:
            yield source
    elif magic.startswith(b"GRIB"):
        from nvp.atlas.formats.import_grib import open_grib

        with open_grib(path, dt) as source:
            yield source
    elif path.is_dir():
        from nvp.atlas.formats.import_xarray import open_zarr

        with open_zarr(path, dt, fill_absent=wanted.fill_absent) as source:
            yield source
    elif magic.startswith(b"CDF"):
        from nvp.atlas.formats.import_xarray import open_netcdf

        with open_netcdf(path, dt) as source:
            yield source
    else:
        raise FieldError(
            "UNKNOWN_FORMAT",
            f"expected NetCDF, HDF5, Zarr, GRIB, .npy or .npz, got {path} which is none of them.",
            next_step="Convert it to one of these.",
        )


def _begins(path: Path) -> bytes:
    if path.is_dir():
        return b""
    with path.open("rb") as file:
        return file.read(8)


def _check(wanted: Wanted) -> None:
    """Refuse what contradicts itself before any file is opened."""
    if wanted.variable is not None and wanted.energy is not None:
        raise FieldError("BAD_OPTIONS", "expected --variable or --energy, got both.", next_step="Choose one.")
    for name in ("dx", "dy", "dt"):
        value = getattr(wanted, name)
        if value is not None and (not math.isfinite(value) or value == 0 or (name == "dt" and value < 0)):
            raise FieldError(
                "BAD_OPTIONS",
                f"expected --{name} as a finite number {'above' if name == 'dt' else 'other than'} 0, got {value}.",
                next_step="Negative dx and dy say that a coordinate falls along its axis." if name != "dt" else "",
            )
    if (wanted.dx is None) != (wanted.dy is None):
        raise FieldError("BAD_OPTIONS", "expected --dx and --dy, got one of them.", next_step="Give both.")


def _field(source: Source, wanted: Wanted) -> Imported:
    if wanted.energy is None:
        return source.read(choose(wanted.variable, _selectable(source, wanted.variable), source.file))
    recipe = parse_recipe(wanted.energy)
    for name in recipe.variables:
        # all of them before any is read
        choose(name, source.present(), source.file, "--energy")
    first, *others = recipe.variables
    head = source.read(choose(first, source.present(), source.file, "--energy"))
    fields = {first: head} | {name: _beside(source, head, name, "--energy") for name in others}
    return replace(
        head,
        variable=recipe.name,
        units="",
        values=_formed(recipe, {name: field.values for name, field in fields.items()}),
        formed_from={name: field.units for name, field in fields.items()},
    )


def _selectable(source: Source, variable: str | None) -> list[str]:
    """All variables where one is asked for by name; else those that could be a field in time."""
    return source.candidates() if variable is None else source.present()


def _formed(recipe: Recipe, variables: dict[str, Float32[np.ndarray, "t h w _"]]) -> Float32[np.ndarray, "t h w _"]:
    """The recipe's value, a frame at a time in float64."""
    length = len(next(iter(variables.values())))
    return np.stack([as_field(recipe({name: values[t] for name, values in variables.items()})) for t in range(length)])


def _beside(source: Source, field: Imported, name: str, option: str) -> Imported:
    """Another variable on the field's own grid and times."""
    found = source.read(choose(name, source.present(), source.file, option))
    if found.values.shape[:3] != field.values.shape[:3] or found.time.stretches != field.time.stretches:
        raise FieldError(
            "BAD_CONTEXT",
            f"expected {name!r} of {source.file} on the grid and times of {field.variable!r} "
            f"{field.values.shape[:3]}, got {found.values.shape[:3]}.",
            next_step="Bring both onto one grid first.",
        )
    return found


def _velocity(source: Source, field: Imported, wanted: Wanted) -> Float32[np.ndarray, "t h w 2"]:
    """The velocity (x, y) in cells per unit time: what the file says over the distance between cells."""
    assert wanted.velocity is not None
    u, v = (_beside(source, field, name, "--velocity") for name in wanted.velocity)
    spacing = field.spacing if wanted.dx is None or wanted.dy is None else Spacing(wanted.dx, wanted.dy)
    if spacing is None:
        raise FieldError(
            "BAD_SPACING",
            f"expected the distance between cells of {source.file}, which does not say it.",
            next_step="Give --dx and --dy in the velocity's unit of length.",
        )
    return np.concatenate(
        [_cells(u, spacing.dx, spacing, wanted), _cells(v, spacing.dy, spacing, wanted)], axis=-1, dtype=np.float32
    )


def _cells(
    component: Imported, distance: np.ndarray | float, spacing: Spacing, wanted: Wanted
) -> Float32[np.ndarray, "t h w 1"]:
    values = component.values
    if values.shape[-1] != 1:
        raise FieldError(
            "BAD_SHAPE",
            f"expected one component in {component.variable!r} of {component.file}, got {values.shape[-1]}.",
            next_step="Name the components of the velocity, x first.",
        )
    factor = 1.0
    if wanted.dx is None:
        # the file's own units must meet: both known in metres, or both unknown
        found = conversion(component.units, "m s-1")
        if (found is not None) != spacing.metres:
            raise FieldError(
                "BAD_UNITS",
                f"expected {component.variable!r} of {component.file} in the unit of length of its grid, got "
                f"{component.units or 'no units'!r} on a grid in {'metres' if spacing.metres else 'an unknown unit'}.",
                next_step="Give --dx and --dy in the velocity's unit of length.",
            )
        factor = found[0] if found is not None else 1.0
    scale = np.reshape(factor / np.asarray(distance, dtype=np.float64), (-1, 1, 1))
    return np.stack([as_field(frame * scale) for frame in values])
