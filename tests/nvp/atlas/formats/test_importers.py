"""Importers: the same field from every format, in the right axis order, with its time and units."""

import os
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from nvp.atlas.formats.importers import read_file
from nvp.errors import FieldError

T, H, W = 6, 16, 24
VALUES = np.random.default_rng(0).random((T, H, W))
TIMES = np.datetime64("2019-03-01T00", "ns") + np.arange(T) * np.timedelta64(3600, "s")


def dataset(dims: tuple[str, str, str] = ("time", "latitude", "longitude"), order: tuple[int, ...] = (0, 1, 2)):
    """VALUES on dims named for (t, y, x), stored in another order."""
    stored = tuple(dims[axis] for axis in order)
    array = xr.DataArray(VALUES.transpose(order), dims=stored, coords={dims[0]: TIMES}, attrs={"units": "K"})
    return xr.Dataset({"t2m": array, "station": ("s", np.arange(3.0))})


def write(data: xr.Dataset, path: Path) -> Path:
    if path.suffix == ".zarr":
        data.to_zarr(path, zarr_format=3, consolidated=False)
    else:
        data.to_netcdf(path, engine="scipy" if path.suffix == ".nc3" else "h5netcdf")
    return path


@pytest.mark.parametrize("name", ["field.nc", "field.nc3", "field.zarr"])
def test_formats(tmp_path: Path, name: str) -> None:
    found = read_file(write(dataset(), tmp_path / name), variable="t2m")
    np.testing.assert_array_equal(found.values[..., 0], VALUES.astype(np.float32))
    assert (found.file, found.variable, found.units) == (name, "t2m", "K")
    (series,) = found.series(domain="surface_temperature")
    assert (series.dt, series.domain) == (3600.0, "surface_temperature")
    assert series.valid_time is not None
    np.testing.assert_array_equal(series.valid_time, TIMES)


@pytest.mark.parametrize("order", [(0, 2, 1), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("dims", [("time", "lat", "lon"), ("t", "y", "x"), ("valid_time", "grid_latitude", "rlon")])
def test_axes_in_any_order_and_by_any_usual_name(tmp_path: Path, dims: tuple[str, str, str], order) -> None:
    found = read_file(write(dataset(dims, order), tmp_path / "f.nc"), variable="t2m")
    np.testing.assert_array_equal(found.values[..., 0], VALUES.astype(np.float32))


def test_axes_by_attributes(tmp_path: Path) -> None:
    data = dataset(("a", "b", "c"), (2, 0, 1)).assign_coords(
        b=("b", np.arange(H), {"units": "degrees_north"}), c=("c", np.arange(W), {"axis": "X"})
    )
    found = read_file(write(data, tmp_path / "f.nc"), variable="t2m")
    np.testing.assert_array_equal(found.values[..., 0], VALUES.astype(np.float32))
    assert found.time.dt == 3600.0


def test_plain_hdf5_has_its_axes_in_order(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["energy"] = VALUES
    found = read_file(tmp_path / "plain.h5", default_dt=2.1)
    np.testing.assert_array_equal(found.values[..., 0], VALUES.astype(np.float32))
    assert (found.variable, found.units, found.time.dt) == ("energy", "", 2.1)


def test_axes_of_length_one_are_dropped_and_longer_ones_refused(tmp_path: Path) -> None:
    one = dataset().expand_dims(level=[1000.0])
    assert read_file(write(one, tmp_path / "one.nc"), variable="t2m").values.shape == (T, H, W, 1)
    two = xr.concat([dataset(), dataset()], xr.DataArray([1000.0, 850.0], dims="level"))
    with pytest.raises(FieldError, match=r"two\.nc.*level: 2"):
        read_file(write(two, tmp_path / "two.nc"), variable="t2m")


def test_gaps_make_several_series(tmp_path: Path) -> None:
    found = read_file(write(dataset().isel(time=[0, 1, 4, 5]), tmp_path / "f.nc"), variable="t2m")
    first, second = found.series(domain="d")
    assert (len(first), len(second), second.first - first.first) == (2, 2, 4)
    np.testing.assert_array_equal(second.energy[..., 0], VALUES[4:].astype(np.float32))


def test_a_single_state_takes_the_default_step(tmp_path: Path) -> None:
    found = read_file(write(dataset().isel(time=3), tmp_path / "f.nc"), variable="t2m", default_dt=3600.0)
    assert found.values.shape == (1, H, W, 1)
    assert found.time.dt == 3600.0


def test_packed_values_are_unpacked_and_fill_values_become_nan(tmp_path: Path) -> None:
    data = dataset()
    data["t2m"][2, 3, 4] = np.nan
    packing = {"dtype": "int16", "scale_factor": 0.001, "add_offset": 0.5, "_FillValue": -32767}
    data.to_netcdf(tmp_path / "f.nc", engine="h5netcdf", encoding={"t2m": packing})
    found = read_file(tmp_path / "f.nc", variable="t2m").values[..., 0]
    assert np.isnan(found[2, 3, 4])
    assert np.nanmax(abs(found - VALUES)) < 1e-3


def test_a_calendar_of_360_days_has_steps_but_no_dates(tmp_path: Path) -> None:
    data = dataset().assign_coords(
        time=("time", np.arange(T) * 24, {"units": "hours since 1970-01-01", "calendar": "360_day"})
    )
    found = read_file(write(data, tmp_path / "f.nc"), variable="t2m")
    assert (found.time.dt, found.time.valid_time) == (86_400.0, None)


def test_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "waves.npy", VALUES)
    found = read_file(tmp_path / "waves.npy", default_dt=2.1)
    np.testing.assert_array_equal(found.values[..., 0], VALUES.astype(np.float32))
    assert (found.variable, found.units, found.time.dt) == ("waves", "", 2.1)


def test_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", a=VALUES[..., None], b=2 * VALUES, valid_time=TIMES, units="K")
    found = read_file(tmp_path / "f.npz", variable="b")
    np.testing.assert_array_equal(found.values[..., 0], (2 * VALUES).astype(np.float32))
    assert (found.units, found.time.dt) == ("K", 3600.0)
    np.savez(tmp_path / "g.npz", a=VALUES, dt=0.25)
    assert read_file(tmp_path / "g.npz").time.dt == 0.25


@pytest.mark.parametrize("name", ["f.nc", "f.zarr", "f.npz"])
def test_a_missing_variable_lists_those_present(tmp_path: Path, name: str) -> None:
    if name == "f.npz":
        np.savez(tmp_path / name, t2m=VALUES, station=VALUES)
    else:
        write(dataset(), tmp_path / name)
    with pytest.raises(FieldError, match=rf"{name}.*station, t2m.*'msl'.*--variable") as caught:
        read_file(tmp_path / name, variable="msl")
    assert caught.value.code == "NO_VARIABLE"


def test_without_a_name_there_must_be_one_candidate(tmp_path: Path) -> None:
    assert read_file(write(dataset(), tmp_path / "one.nc")).variable == "t2m"
    data = dataset()
    data["msl"] = data["t2m"]
    with pytest.raises(FieldError, match="msl, t2m"):
        read_file(write(data, tmp_path / "two.nc"))


def test_a_single_state_is_a_candidate_where_nothing_has_times_and_edges_of_cells_never(tmp_path: Path) -> None:
    values = np.ones((8, 8), np.float32)
    state = xr.Dataset(
        {"pressure": (("lat", "lon"), values), "lat_edges": (("lat", "lon", "edge"), np.ones((8, 8, 4)))}
    )
    state["pressure"].attrs["bounds"] = "lat_edges"
    state.to_netcdf(tmp_path / "state.nc", engine="h5netcdf")
    assert read_file(tmp_path / "state.nc").variable == "pressure"
    with_times = state.assign(heat=(("time", "lat", "lon"), np.ones((3, 8, 8), np.float32)))
    with_times.to_netcdf(tmp_path / "both.nc", engine="h5netcdf")
    assert read_file(tmp_path / "both.nc").variable == "heat"


def test_uneven_times_are_refused_with_their_index(tmp_path: Path) -> None:
    data = dataset().assign_coords(time=TIMES + np.array([0, 0, 0, 1800, 1800, 1800]) * np.timedelta64(1, "s"))
    with pytest.raises(FieldError, match=r"f\.nc.* at index 3"):
        read_file(write(data, tmp_path / "f.nc"), variable="t2m")


@pytest.mark.parametrize("name", ["f.nc", "f.nc3", "f.npy", "f.npz"])
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.6])
def test_a_cut_off_file_is_named_in_one_line(tmp_path: Path, name: str, keep: float) -> None:
    path = tmp_path / name
    if name == "f.npy":
        np.save(path, VALUES)
    elif name == "f.npz":
        np.savez(path, t2m=VALUES)
    else:
        write(dataset(), path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(FieldError) as caught:
        read_file(path, variable="t2m")
    assert caught.value.code in ("FILE_DAMAGED", "UNKNOWN_FORMAT")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_field_file(tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="found none"):
        read_file(tmp_path / "nowhere.nc")
    (tmp_path / "notes.txt").write_text("dear diary")
    with pytest.raises(FieldError, match=r"expected NetCDF, HDF5, Zarr, GRIB, \.npy or \.npz"):
        read_file(tmp_path / "notes.txt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FieldError) as caught:
        read_file(tmp_path / "folder")
    assert caught.value.code == "FILE_DAMAGED"


@pytest.mark.parametrize("array", [np.zeros((8, 8)), np.zeros((0, 8, 8)), np.zeros((2, 8, 8), complex)])
def test_arrays_that_are_no_series(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "f.npy", array)
    with pytest.raises(FieldError) as caught:
        read_file(tmp_path / "f.npy")
    assert caught.value.code == "BAD_SHAPE"


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(FieldError):
        read_file(tmp_path / "f.npy")


def damaged_archive(path: Path, how: str) -> Path:
    """An .npz that NumPy, zipfile or zlib stumble over, each with an exception of its own."""
    np.savez_compressed(path, t2m=VALUES)
    content = bytearray(path.read_bytes())
    central = content.find(b"PK\x01\x02")
    if how == "encrypted":
        content[6] |= 1
        content[central + 8] |= 1
    elif how == "unknown compression":
        content[8] = content[central + 10] = 99
    elif how == "garbled":
        content[200:220] = bytes(20)
    path.write_bytes(content)
    if how == "no array":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("t2m", "hello")
    return path


@pytest.mark.parametrize("how", ["encrypted", "unknown compression", "garbled", "no array"])
def test_a_damaged_archive_is_named_in_one_line(tmp_path: Path, how: str) -> None:
    with pytest.raises(FieldError, match=r"f\.npz") as caught:
        read_file(damaged_archive(tmp_path / "f.npz", how))
    assert caught.value.code in ("FILE_DAMAGED", "BAD_SHAPE")
    assert "\n" not in str(caught.value)


def test_a_header_that_promises_more_than_memory(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", np.zeros((100, 100, 100), np.float32))
    content = (tmp_path / "f.npy").read_bytes()[:1000]
    (tmp_path / "f.npy").write_bytes(
        content.replace(b"(100, 100, 100), }" + b" " * 12, b"(10000000, 99999, 99999), }   ")
    )
    with pytest.raises(FieldError, match="cannot read"):
        read_file(tmp_path / "f.npy")


@pytest.mark.parametrize("dt", ["an hour", [1.0, 2.0], np.datetime64("2019"), np.inf, np.nan, 0.0, -1, True])
def test_dt_is_one_number(tmp_path: Path, dt) -> None:
    np.savez(tmp_path / "f.npz", a=VALUES, dt=dt)
    with pytest.raises(FieldError, match=r"one finite number above 0 in f\.npz") as caught:
        read_file(tmp_path / "f.npz")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("year", ["1500", "3000"])
def test_times_that_nanoseconds_do_not_reach_are_refused(tmp_path: Path, year: str) -> None:
    times = np.datetime64(f"{year}-01-01T00", "s") + np.arange(T) * np.timedelta64(3600, "s")
    np.savez(tmp_path / "f.npz", a=VALUES, valid_time=times)
    with pytest.raises(FieldError, match=rf"from 1678 to 2261 in f\.npz, got {year}-01-01T00:00:00 at index 0"):
        read_file(tmp_path / "f.npz")


def test_a_gap_beyond_all_integers_is_no_gap(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", a=VALUES, valid_time=np.array([0, 1, 2, 3, 4, 1e25]))
    with pytest.raises(FieldError, match="at index 5"):
        read_file(tmp_path / "f.npz")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f.npy")
    with pytest.raises(FieldError, match="expected a file or a folder"):
        read_file(tmp_path / "f.npy")


def sample(name: str) -> Path:
    folder = Path(pytest.importorskip("iris_sample_data").__file__).parent / "sample_data"
    if not (folder / name).exists():
        pytest.skip(f"iris-sample-data has no {name}")
    return folder / name


def test_a_real_model_run() -> None:
    found = read_file(sample("A1B_north_america.nc"), variable="air_temperature")
    assert found.values.shape == (240, 37, 49, 1)
    assert found.units == "K"
    # years of 360 days
    assert found.time.dt == 360 * 86_400.0
    assert 240 < float(found.values.mean()) < 310


def test_real_months_are_no_uniform_step() -> None:
    with pytest.raises(FieldError, match=r"ostia_monthly\.nc"):
        read_file(sample("ostia_monthly.nc"), variable="surface_temperature")


def test_real_reanalysis() -> None:
    path = Path("../shared/data/era5_t2m_uk_2019-03.nc")
    if not path.exists():
        pytest.skip("../shared/data is absent")
    (series,) = read_file(path, variable="t2m").series(domain="surface_temperature")
    assert series.energy.shape == (504, 33, 49, 1)
    assert series.dt == 3600.0
    assert series.valid_time is not None
    assert series.valid_time[0] == np.datetime64("2019-03-01")
