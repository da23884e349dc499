"""What an importer can be told: recipes, context, velocity, axes and steps; sidecars, groups, lost chunks and units."""

import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr

from nvp.atlas.checks import in_units_of
from nvp.atlas.formats.importers import Wanted, read_file, trajectories
from nvp.atlas.formats.units import conversion
from nvp.dynamics.domain import SURFACE_TEMPERATURE
from nvp.errors import FieldError

T, H, W = 4, 8, 16
RNG = np.random.default_rng(0)
U, V, RHO = (RNG.random((T, H, W)).astype(np.float32) + 1 for _ in range(3))
TIMES = np.datetime64("2019-03-01T00", "ns") + np.arange(T) * np.timedelta64(3600, "s")


def flow(path: Path, *, y: np.ndarray | None = None, units: str = "m s-1", length: str = "km") -> Path:
    """u, v and rho on a grid of 2 km by 0.5 km whose rows run from north to south."""
    dims = ("time", "y", "x")
    rows = np.arange(H)[::-1] * 0.5 if y is None else y
    coordinates = {
        "time": TIMES,
        "y": ("y", rows, {"units": length, "axis": "Y"}),
        "x": ("x", np.arange(W) * 2.0, {"units": length, "axis": "X"}),
    }
    variables = {"u": (dims, U, {"units": units}), "v": (dims, V, {"units": units}), "rho": (dims, RHO)}
    xr.Dataset({**variables, "mask": (dims[1:], U[0])}, coords=coordinates).to_netcdf(path, engine="h5netcdf")
    return path


def test_an_energy_formed_from_variables(tmp_path: Path) -> None:
    found = read_file(flow(tmp_path / "f.nc"), wanted=Wanted(energy="kinetic = 0.5*rho*(u**2 + v**2)"))
    expected = 0.5 * RHO.astype(float) * (U.astype(float) ** 2 + V.astype(float) ** 2)
    np.testing.assert_allclose(found.values[..., 0], expected, rtol=1e-7)
    assert (found.variable, found.units) == ("kinetic", "")
    assert found.formed_from == {"rho": "", "u": "m s-1", "v": "m s-1"}
    assert found.time.dt == 3600.0


@pytest.mark.parametrize("name", ["f.npz", "f.h5"])
def test_recipes_hold_for_every_format(tmp_path: Path, name: str) -> None:
    if name == "f.npz":
        np.savez(tmp_path / name, u=U, v=V)
    else:
        with h5py.File(tmp_path / name, "w") as file:
            file["u"], file["v"] = U, V
    found = read_file(tmp_path / name, wanted=Wanted(energy="u*v", context=("v",)))
    np.testing.assert_allclose(found.values[..., 0], U.astype(float) * V, rtol=1e-7)
    np.testing.assert_array_equal(found.context["v"][..., 0], V)


def test_a_velocity_in_cells_per_second(tmp_path: Path) -> None:
    found = read_file(flow(tmp_path / "f.nc"), wanted=Wanted(variable="rho", velocity=("u", "v"), context=("u",)))
    velocity = found.context["velocity"]
    np.testing.assert_allclose(velocity[..., 0], U / 2000.0, rtol=1e-6)
    # north is up, rows count down
    np.testing.assert_allclose(velocity[..., 1], -V / 500.0, rtol=1e-6)
    np.testing.assert_array_equal(found.context["u"][..., 0], U)


def test_a_velocity_in_knots(tmp_path: Path) -> None:
    found = read_file(flow(tmp_path / "f.nc", units="kt"), wanted=Wanted(variable="rho", velocity=("u", "v")))
    np.testing.assert_allclose(found.context["velocity"][..., 0], U * (1852 / 3600) / 2000.0, rtol=1e-6)


def test_a_velocity_on_the_sphere(tmp_path: Path) -> None:
    rows = np.linspace(60.0, 53.0, H)
    path = flow(tmp_path / "f.nc", y=rows, length="degrees")
    velocity = read_file(path, wanted=Wanted(variable="rho", velocity=("u", "v"))).context["velocity"]
    degree = 6_371_008.8 * np.pi / 180
    np.testing.assert_allclose(velocity[:, 0, :, 0], U[:, 0] / (2 * degree * 0.5), rtol=1e-6)
    expected = U[:, -1] / (2 * degree * np.cos(np.deg2rad(53)))
    np.testing.assert_allclose(velocity[:, -1, :, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(velocity[..., 1], -V / degree, rtol=1e-6)


def test_a_spacing_that_is_given_goes_before_the_files(tmp_path: Path) -> None:
    wanted = Wanted(variable="rho", velocity=("u", "v"), dx=4.0, dy=-2.0)
    velocity = read_file(flow(tmp_path / "f.nc", units="furlongs per fortnight"), wanted=wanted).context["velocity"]
    np.testing.assert_allclose(velocity[..., 0], U / 4, rtol=1e-6)
    np.testing.assert_allclose(velocity[..., 1], -V / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"energy": "u*w"}, r"u, v.*got 'w'.*--energy"),
        ({"energy": "u*("}, "the end"),
        ({"energy": "u*mask"}, r"mask|axes"),
        ({"energy": "u", "variable": "u"}, "--variable or --energy, got both"),
        ({"variable": "u", "context": ("w",)}, r"got 'w'.*--context"),
        ({"variable": "u", "context": ("mask",)}, r"'mask' of f\.nc on the grid and times of 'u'"),
        ({"variable": "u", "velocity": ("u", "w")}, r"got 'w'.*--velocity"),
        ({"variable": "u", "dx": 1.0}, "--dx and --dy, got one"),
        ({"variable": "u", "dx": 0.0, "dy": 1.0}, "--dx as a finite number other than 0"),
        ({"variable": "u", "dx": np.nan, "dy": 1.0}, "--dx as a finite number"),
        ({"variable": "u", "dt": -1.0}, "--dt as a finite number above 0"),
        ({"variable": "u", "dt": 60.0}, r"step of 60 in f\.nc, got times 3600 apart"),
    ],
)
def test_what_cannot_be_had(tmp_path: Path, wanted: dict[str, Any], said: str) -> None:
    with pytest.raises(FieldError, match=said) as caught:
        read_file(flow(tmp_path / "f.nc"), wanted=Wanted(**wanted))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("units", "length"), [("", "km"), ("m s-1", "furlong")])
def test_units_of_length_must_meet(tmp_path: Path, units: str, length: str) -> None:
    path = flow(tmp_path / "f.nc", units=units, length=length)
    with pytest.raises(FieldError, match=r"'u' of f\.nc in the unit of length of its grid.*--dx and --dy"):
        read_file(path, wanted=Wanted(variable="rho", velocity=("u", "v")))


def test_a_file_without_a_grid_needs_a_spacing(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", u=U, v=V, rho=RHO)
    with pytest.raises(FieldError, match=r"distance between cells of f\.npz.*--dx and --dy"):
        read_file(tmp_path / "f.npz", wanted=Wanted(variable="rho", velocity=("u", "v")))


# -- plain HDF5 -------------------------------------------------------------------------------------------------------


def runs(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["runs/3/energy"] = U.transpose(1, 2, 0)
        file["runs/3/velocity"] = np.stack([U, V], axis=-1)
        file["label"] = "storm"
    return path


def test_a_dataset_by_its_path(tmp_path: Path) -> None:
    path = runs(tmp_path / "f.h5")
    for name in ("/runs/3/energy", "runs/3/energy"):
        found = read_file(path, default_dt=2.5, wanted=Wanted(variable=name, axes="y, x, time"))
        np.testing.assert_array_equal(found.values[..., 0], U)
        assert (found.variable, found.time.dt) == ("/runs/3/energy", 2.5)
    assert read_file(path, variable="/runs/3/velocity").values.shape == (T, H, W, 2)
    assert trajectories(path) is None


@pytest.mark.parametrize("how", ["attribute", "labels"])
def test_a_dataset_says_its_axes_step_and_units(tmp_path: Path, how: str) -> None:
    with h5py.File(runs(tmp_path / "f.h5"), "r+") as file:
        data = file["runs/3/energy"]
        if how == "attribute":
            data.attrs["axes"] = "(y, x, t)"
        else:
            for dim, label in zip(data.dims, "yxt", strict=True):
                dim.label = label
        data.attrs["units"] = np.bytes_("J")
        file.attrs["dt"] = np.float32([0.25])
    found = read_file(tmp_path / "f.h5", variable="/runs/3/energy")
    np.testing.assert_array_equal(found.values[..., 0], U)
    assert (found.units, found.time.dt) == ("J", 0.25)


@pytest.mark.parametrize("axes", ["t,y", "t,y,y", "a,b,c", "t,y,x,c", "c,y,x", ""])
def test_axes_that_are_none(tmp_path: Path, axes: str) -> None:
    wanted = Wanted(variable="/runs/3/energy", axes=axes or "t,t,t")
    with pytest.raises(FieldError, match=r"axes t, y, x \(and c\) of '/runs/3/energy' in f\.h5.*--axes"):
        read_file(runs(tmp_path / "f.h5"), wanted=wanted)


@pytest.mark.parametrize("dt", [0.0, -1.0, np.nan, "soon", [1.0, 2.0]])
def test_a_step_that_is_none(tmp_path: Path, dt: Any) -> None:
    with h5py.File(runs(tmp_path / "f.h5"), "r+") as file:
        file.attrs["dt"] = dt
    with pytest.raises(FieldError, match=r"dt as one finite number above 0 in f\.h5"):
        read_file(tmp_path / "f.h5", variable="/runs/3/velocity")


def test_a_path_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(FieldError, match=r"/runs/3/energy, /runs/3/velocity.*got '/runs/4/energy'"):
        read_file(runs(tmp_path / "f.h5"), variable="/runs/4/energy")


def test_a_group_of_netcdf_keeps_the_roots_times(tmp_path: Path) -> None:
    flow(tmp_path / "f.nc")
    packing = {"dtype": "int16", "scale_factor": 0.001, "add_offset": 1.0, "_FillValue": -1}
    dims = ("time", "y", "x")
    inner = xr.Dataset({"e": (dims, U, {"units": "J"})})
    inner.to_netcdf(tmp_path / "f.nc", mode="a", group="level/1", engine="h5netcdf", encoding={"e": packing})
    found = read_file(tmp_path / "f.nc", variable="/level/1/e")
    assert np.abs(found.values[..., 0] - U).max() < 1e-3
    assert (found.units, found.variable) == ("J", "/level/1/e")


# -- Zarr -------------------------------------------------------------------------------------------------------------


def test_lost_chunks_of_zeros_are_missed(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "f.zarr", mode="w", zarr_format=3)
    array = group.create_array("e", shape=(T, H, W), chunks=(1, H, W), dtype="f4", dimension_names=["time", "y", "x"])
    array[:] = U
    np.testing.assert_array_equal(read_file(tmp_path / "f.zarr").values[..., 0], U)
    (tmp_path / "f.zarr" / "e" / "c" / "3" / "0" / "0").unlink()
    with pytest.raises(FieldError, match=r"4 chunks of 'e' in f\.zarr, found 3: .* read as 0\.0.*--fill-absent") as got:
        read_file(tmp_path / "f.zarr")
    assert got.value.code == "CHUNKS_MISSING"
    absent = read_file(tmp_path / "f.zarr", wanted=Wanted(fill_absent=True)).values[..., 0]
    np.testing.assert_array_equal(absent[3], 0)


def test_a_lost_coordinate_is_missed(tmp_path: Path) -> None:
    data = xr.Dataset({"e": (("time", "y", "x"), U)}, coords={"time": TIMES})
    data.to_zarr(tmp_path / "f.zarr", zarr_format=3, consolidated=False)
    (tmp_path / "f.zarr" / "time" / "c" / "0").unlink()
    with pytest.raises(FieldError, match=r"chunks of 'time' in f\.zarr"):
        read_file(tmp_path / "f.zarr")


# -- sidecars ---------------------------------------------------------------------------------------------------------


def beside(path: Path, said: Any) -> Path:
    np.save(path, U)
    path.with_suffix(".json").write_text(said if isinstance(said, str) else json.dumps(said))
    return path


@pytest.mark.parametrize(
    "when", [{"start": "2019-03-01T00:00Z"}, {"valid_time": [f"2019-03-01T0{hour}:00" for hour in range(T)]}]
)
def test_a_sidecar(tmp_path: Path, when: dict[str, Any]) -> None:
    path = beside(tmp_path / "f.npy", {"dt": 3600, "units": "K", "domain": "surface_temperature", **when})
    found = read_file(path)
    assert (found.units, found.domain, found.time.dt) == ("K", "surface_temperature", 3600.0)
    assert found.time.valid_time is not None
    np.testing.assert_array_equal(found.time.valid_time, TIMES)


def test_a_sidecar_without_a_calendar(tmp_path: Path) -> None:
    assert read_file(beside(tmp_path / "f.npy", {"dt": 0.25}), default_dt=9.0).time.dt == 0.25


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{", "JSON"),
        ("[" * 100_000, "JSON"),
        ([1], "an object of"),
        ({"step": 1}, "an object of domain, dt.*got .'step'"),
        ({"dt": 0}, "dt as one finite number"),
        ({"dt": True}, "dt as one finite number"),
        ({"dt": "1"}, "dt as one finite number"),
        ({"units": 1}, "units as text"),
        ({"valid_time": "2019"}, "valid_time as a list"),
        ({"valid_time": ["2019-03-01"]}, "valid_time of 4 frames.*got 1"),
        ({"valid_time": ["2019-03-01"], "start": "2019-03-01"}, "start or valid_time"),
        ({"start": "yesterday"}, "ISO 8601"),
        ({"start": "9999-01-01"}, "from 1678 to 2261"),
        ({"start": "2019-03-01T00:00+01:00"}, "ISO 8601"),
    ],
)
def test_sidecars_that_are_not_right(tmp_path: Path, said: Any, why: str) -> None:
    with pytest.raises(FieldError, match=why) as caught:
        read_file(beside(tmp_path / "f.npy", said))
    assert "f.json" in str(caught.value)
    assert "\n" not in str(caught.value)


# -- units ------------------------------------------------------------------------------------------------------------


def test_celsius_becomes_kelvin(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", t2m=U, units="degC")
    found = in_units_of(read_file(tmp_path / "f.npz"), SURFACE_TEMPERATURE)
    np.testing.assert_allclose(found.values[..., 0], U + np.float64(273.15), rtol=1e-7)
    assert found.units == "K"
    # what the user says counts, and a unit of another kind does not become this one
    np.testing.assert_array_equal(
        in_units_of(read_file(tmp_path / "f.npz"), SURFACE_TEMPERATURE, stated="kelvin").values[..., 0], U
    )
    with pytest.raises(FieldError, match="'hPa'"):
        in_units_of(read_file(tmp_path / "f.npz"), SURFACE_TEMPERATURE, stated="hPa")


@pytest.mark.parametrize(
    ("found", "wanted", "number", "expected"),
    [
        ("degF", "K", 212.0, 373.15),
        ("K", "degC", 0.0, -273.15),
        ("hPa", "Pa", 1013.25, 101_325.0),
        ("km/h", "m s-1", 36.0, 10.0),
        ("%", "1", 50.0, 0.5),
        ("", "1", 2.0, 2.0),
        ("Kelvin", "K", 2.0, 2.0),
        ("kJ/m2", "J m-2", 1.0, 1000.0),
    ],
)
def test_conversions(found: str, wanted: str, number: float, expected: float) -> None:
    converted = conversion(found, wanted)
    assert converted is not None
    assert converted[0] * number + converted[1] == pytest.approx(expected)


def test_units_of_two_kinds_do_not_convert() -> None:
    assert conversion("K", "Pa") is None
    assert conversion("furlong", "m") is None
    # a symbol's capital counts
    assert conversion("PA", "hPa") is None


# -- GRIB -------------------------------------------------------------------------------------------------------------


def test_grib_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f.grib").write_bytes(b"GRIB" + bytes(100))
    monkeypatch.setitem(sys.modules, "cfgrib", None)
    with pytest.raises(FieldError, match=r"GRIB library to read f\.grib.*pip install 'fieldgraph\[grib\]'") as caught:
        read_file(tmp_path / "f.grib")
    assert caught.value.code == "NO_GRIB"


def messages(path: Path, **keys: Any) -> Path:
    """A GRIB file with a message for each frame, written by ecCodes; `keys` are functions of the frame's number."""
    eccodes = pytest.importorskip("eccodes", reason="the extra `grib` is not installed")
    grid = {"Ni": W, "Nj": H, "iDirectionIncrementInDegrees": 1, "jDirectionIncrementInDegrees": 1, "bitsPerValue": 24}
    first = {"latitudeOfFirstGridPointInDegrees": 60, "longitudeOfFirstGridPointInDegrees": 0}
    last = {"latitudeOfLastGridPointInDegrees": 53, "longitudeOfLastGridPointInDegrees": 15}
    with path.open("wb") as file:
        for t in range(T):
            message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
            said = {"shortName": "2t", "dataDate": 20190301, "dataTime": 0, **grid, **first, **last}
            for key, value in (said | {key: function(t) for key, function in keys.items()}).items():
                eccodes.codes_set(message, key, value)
            eccodes.codes_set_values(message, (280 + U[t].astype(float)).ravel())
            eccodes.codes_write(message, file)
            eccodes.codes_release(message)
    return path


@pytest.mark.parametrize(("key", "dt"), [("dataTime", 3600.0), ("step", 3600.0)])
def test_grib(tmp_path: Path, key: str, dt: float) -> None:
    pytest.importorskip("cfgrib", reason="the extra `grib` is not installed")
    path = messages(tmp_path / "f.grib", **{key: lambda t: t * (100 if key == "dataTime" else 1)})
    found = read_file(path)
    np.testing.assert_allclose(found.values[..., 0], 280 + U, atol=1e-4)
    assert (found.variable, found.units, found.time.dt) == ("t2m", "K", dt)
    assert found.time.valid_time is not None
    np.testing.assert_array_equal(found.time.valid_time, TIMES)
    # no index is left beside the data
    assert [item.name for item in tmp_path.iterdir()] == ["f.grib"]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FieldError, match="cannot read"):
        read_file(path)
