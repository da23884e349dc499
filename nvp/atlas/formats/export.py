"""Exporters: series become a file that others read, and that `read_file` reads back as the very same series.

    well     The Well's HDF5; several sequences are its trajectories
    netcdf   NetCDF 4, CF conventions
    zarr     Zarr 3, the same variables, a chunk for each frame
    npz      NumPy's archive of arrays

A file appears complete or not at all, and replaces another only where that is asked for.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from nvp.atlas.disk import flush
from nvp.atlas.formats.note import KEY, TOTALS, note_of
from nvp.atlas.series import Series
from nvp.atlas.temporary import temporary_name
from nvp.dynamics.domain import DomainSpec
from nvp.errors import FieldError

Format = Literal["well", "netcdf", "zarr", "npz"]
FORMATS: tuple[Format, ...] = get_args(Format)
ENERGY = "energy"
# by the suffix of a file's name
SUFFIXES: dict[str, Format] = {
    ".hdf5": "well",
    ".h5": "well",
    ".nc": "netcdf",
    ".zarr": "zarr",
    ".npz": "npz",
}


def format_of(path: Path, said: str | None) -> Format:
    """The format said, or that of the file's suffix."""
    found = SUFFIXES.get(path.suffix.lower()) if said is None else said
    for known in FORMATS:
        if found == known:
            return known
    raise FieldError(
        "UNKNOWN_FORMAT",
        f"expected a format out of {', '.join(FORMATS)}, got {path.name if said is None else said!r}.",
        next_step="Give one by --format.",
    )


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise `FieldError` where the file is there and may not be replaced, or where there is no folder for it."""
    if not path.parent.is_dir():
        raise FieldError("NO_FOLDER", f"expected a folder at {path.parent}, found none.", next_step="Make it first.")
    if os.path.lexists(path) and not force:
        raise FieldError("FILE_EXISTS", f"expected no file at {path}, found one.", next_step="Replace it by --force.")


def export(
    path: Path,
    series: Sequence[Series],
    domain: DomainSpec,
    form: Format,
    *,
    force: bool = False,
    simulated: bool = False,
) -> None:
    """Write `series` of `domain` to `path`; only The Well's layout takes several.

    `simulated` is kept in the file: whoever reads it back must not take a simulation for an observation.

    Raises `FieldError` where the file is there (unless `force`), cannot be written or does not hold such series.
    """
    refuse_existing(path, force=force)
    if form == "well":
        from nvp.atlas.formats.well_write import write_well

        place(
            path,
            lambda temporary: write_well(temporary, series, domain, name=domain.name, simulated=simulated),
            force=force,
        )
        return
    if len(series) != 1:
        raise FieldError(
            "NOT_ONE_FILE",
            f"expected one sequence for a file of format {form}, got {len(series)}.",
            next_step="Export each by itself, or all by --format well.",
        )
    writers: dict[str, Callable[[Path, Series, DomainSpec, str], None]] = {
        "npz": _write_npz,
        "netcdf": _write_netcdf,
        "zarr": _write_zarr,
    }
    note = _note(series[0], domain, simulated=simulated)
    place(path, lambda temporary: writers[form](temporary, series[0], domain, note), force=force)


def place(path: Path, write: Callable[[Path], object], *, force: bool) -> None:
    """Make `path` appear complete: written beside it, flushed, then renamed."""
    temporary = path.with_name(f".{temporary_name(path.suffix)}")
    try:
        write(temporary)
        for file in [temporary, *temporary.rglob("*")] if temporary.is_dir() else [temporary]:
            flush(file)
        if temporary.is_dir() or (force and path.is_dir()):
            _replace_folder(temporary, path, force=force)
        elif force:
            temporary.replace(path)
        else:
            # unlike a rename, a link never replaces a file that came meanwhile
            os.link(temporary, path)
        flush(path.parent)
    except FileExistsError:
        refuse_existing(path, force=False)
    except OSError as error:
        raise FieldError(
            "UNWRITABLE",
            f"cannot write {path}: {' '.join(str(error).split())}.",
            next_step="Free space, or choose another folder.",
        ) from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _replace_folder(temporary: Path, path: Path, *, force: bool) -> None:
    """A folder has no rename that replaces: what is there is moved aside first, and back should that fail."""
    refuse_existing(path, force=force)
    if not os.path.lexists(path):
        temporary.rename(path)
        return
    aside = path.with_name(f".{temporary_name('.old')}")
    path.rename(aside)
    try:
        temporary.rename(path)
    except OSError:
        aside.rename(path)
        raise
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink()


def _write_npz(path: Path, series: Series, domain: DomainSpec, note: str) -> None:
    arrays = {ENERGY: series.energy, **series.context}
    arrays |= {name: values for name in TOTALS if (values := getattr(series, name)) is not None}
    if series.valid_time is not None:
        arrays["valid_time"] = series.valid_time.astype("datetime64[ns]")
    with path.open("xb") as file:
        members: dict[str, Any] = {"dt": series.dt, "units": domain.units, KEY: note, **arrays}
        np.savez(file, **members)


def _write_netcdf(path: Path, series: Series, domain: DomainSpec, note: str) -> None:
    from nvp.atlas.formats.export_xarray import write_netcdf

    write_netcdf(path, series, domain, note)


def _write_zarr(path: Path, series: Series, domain: DomainSpec, note: str) -> None:
    from nvp.atlas.formats.export_xarray import write_zarr

    write_zarr(path, series, domain, note)


def _note(series: Series, domain: DomainSpec, *, simulated: bool) -> str:
    for name in (*TOTALS, ENERGY, KEY, "valid_time", "time", "dt", "units", "x", "y"):
        if name in series.context:
            raise FieldError("BAD_CONTEXT", f"expected context of other names than {name!r}.")
    return note_of(series, units=domain.units, variable=ENERGY, simulated=simulated).to_text()
