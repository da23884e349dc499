"""Importers: a variable of a file becomes series on the axes (t, y, x, c).

`read_file` chooses by suffix and by the file's first bytes: `.npy`, `.npz`, NetCDF and Zarr (through xarray). What a
file does not say is left open (`units`, `valid_time`); nothing about the values is checked or changed here.
"""

from __future__ import annotations

from pathlib import Path

from nvp.atlas.import_numpy import read_npy, read_npz
from nvp.atlas.imported import Imported
from nvp.errors import FieldError


def read_file(path: Path, *, variable: str | None = None, default_dt: float = 1.0) -> Imported:
    """Read `variable` of `path` into memory, float32.

    `variable` may be left out where there is only one candidate; `default_dt` serves where the file has no times.
    Raises `FieldError` for a missing or damaged file, an unknown format, a missing variable (listing those present),
    axes that are not time, y and x, and times that are not uniform.
    """
    if not path.exists():
        raise FieldError("FILE_MISSING", f"expected a file at {path}, found none.", next_step="Check the path.")
    if not (path.is_file() or path.is_dir()):
        # a pipe would be waited for without end
        raise FieldError(
            "UNKNOWN_FORMAT", f"expected a file or a folder, got {path}.", next_step="Save it as a file first."
        )
    if path.suffix == ".npy":
        return read_npy(path, default_dt=default_dt)
    if path.suffix == ".npz":
        return read_npz(path, variable=variable, default_dt=default_dt)
    # xarray takes a second to import, which only its own formats should cost
    from nvp.atlas.import_xarray import read_dataset

    return read_dataset(path, variable=variable, default_dt=default_dt)
