"""Import of GRIB, where its library is installed: ECMWF's ecCodes through cfgrib.

Each message type is a variable on (time, latitude, longitude). A file of forecasts has steps instead of times; both at
once are no series.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from nvp.atlas.formats.import_xarray import CFSource
from nvp.errors import FieldError


@contextmanager
def open_grib(path: Path, default_dt: float) -> Iterator[CFSource]:
    """The variables of a GRIB file."""
    try:
        import_module("cfgrib")
    except (ImportError, RuntimeError) as error:
        # cfgrib raises RuntimeError where ecCodes itself is missing
        raise FieldError(
            "NO_GRIB",
            f"expected the GRIB library to read {path.name}, found none.",
            next_step="Install it: pip install 'fieldgraph[grib]'.",
        ) from error
    import xarray as xr

    # no index file beside the data, as the folder may not be ours; a message that is cut off is not passed over
    strict = {"indexpath": "", "errors": "raise"}
    with xr.open_dataset(path, engine="cfgrib", decode_times=False, backend_kwargs=strict) as dataset:
        # a file of forecasts runs along its steps
        if "step" in dataset.dims and "time" not in dataset.dims and "valid_time" in dataset.coords:
            dataset = dataset.drop_vars("time", errors="ignore").assign_coords(step=dataset["valid_time"].values)
            dataset["step"].attrs.update(dataset["valid_time"].attrs)
            dataset = dataset.drop_vars("valid_time").rename(step="time")
        yield CFSource(path.name, dataset, default_dt)
