"""Exports: what is written is read back as the very same series, complete or not at all, over nothing that is there."""

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from nvp.atlas.formats import export as exporters
from nvp.atlas.formats.export import FORMATS, SUFFIXES, Format, export, format_of
from nvp.atlas.formats.importers import Wanted, read_file, trajectories
from nvp.atlas.formats.note import parse_note
from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec
from nvp.errors import FieldError

STORM = DomainSpec(
    name="storm", title="Storm", closed=False, second_law=False, boundary_x="periodic", boundary_y="open", units="J",
    dx=0.3, dy=0.7, dt=1.0,
)  # fmt: skip
SUFFIX = {form: suffix for suffix, form in SUFFIXES.items() if suffix != ".h5"}
T, H, W = 4, 8, 16


def series(seed: int = 0, *, calendar: bool = False, first: int = 0, dt: float = 1.597, channels: int = 1) -> Series:
    rng = np.random.default_rng(seed)
    times = np.datetime64("2020-01-01T06", "ns") + np.arange(T) * np.timedelta64(3600, "s")
    return Series(
        energy=rng.random((T, H, W, channels)).astype(np.float32),
        context={
            "velocity": rng.normal(size=(T, H, W, 2)).astype(np.float32),
            "source": rng.random((T, H, W, 1)).astype(np.float32),
            "nematic": rng.random((T, H, W, 4)).astype(np.float32),
        },
        parameters={"viscosity": 0.1 * (seed + 1), "third": 1 / 3},
        dt=3600.0 if calendar else dt,
        first=first,
        valid_time=times if calendar else None,
        source_total=rng.random(T),
        outflow_total=rng.random(T),
        domain="storm",
    )


def assert_equal(found: Series, expected: Series) -> None:
    for field in dataclasses.fields(Series):
        got, wanted = getattr(found, field.name), getattr(expected, field.name)
        if field.name == "context":
            assert sorted(got) == sorted(wanted)
            for name in wanted:
                np.testing.assert_array_equal(got[name], wanted[name])
        elif isinstance(wanted, np.ndarray):
            np.testing.assert_array_equal(got, wanted)
        else:
            assert got == wanted, field.name


def back(path: Path, trajectory: int | None = None) -> Series:
    (found,) = read_file(path, default_dt=9.0, wanted=Wanted(trajectory=trajectory)).series(domain="storm")
    return found


@pytest.mark.parametrize("calendar", [False, True])
@pytest.mark.parametrize("form", FORMATS)
def test_what_was_written_is_read(tmp_path: Path, form: Format, calendar: bool) -> None:
    written = series(calendar=calendar, first=438_294 if calendar else 7)
    path = tmp_path / f"storm{SUFFIX[form]}"
    export(path, [written], STORM, form)
    assert_equal(back(path), written)
    assert read_file(path, wanted=Wanted(trajectory=None)).units == "J"
    # nothing is left of the writing
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@settings(max_examples=10, deadline=None)
@given(dt=st.floats(1e-6, 1e6), first=st.integers(-(2**40), 2**40), seed=st.integers(0, 99))
def test_steps_and_places_are_exact(tmp_path_factory: pytest.TempPathFactory, dt: float, first: int, seed: int) -> None:
    written = series(seed, dt=dt, first=first)
    for form in ("well", "npz"):
        path = tmp_path_factory.mktemp("f") / f"storm{SUFFIX[form]}"
        export(path, [written], STORM, form_(form))
        assert_equal(back(path), written)


def form_(name: str) -> Format:
    return format_of(Path(name), name)


@pytest.mark.parametrize("simulated", [False, True])
@pytest.mark.parametrize("form", FORMATS)
def test_a_file_says_whether_its_fields_were_simulated(tmp_path: Path, form: Format, simulated: bool) -> None:
    path = tmp_path / f"storm{SUFFIX[form]}"
    export(path, [series()], STORM, form, simulated=simulated)
    assert read_file(path, wanted=Wanted(trajectory=None)).simulated == simulated
    # whichever of its fields is taken
    formed = read_file(path, wanted=Wanted(energy="2*energy"))
    assert formed.simulated == simulated
    assert read_file(path, wanted=Wanted(variable="source")).simulated == simulated


def test_several_sequences_are_trajectories(tmp_path: Path) -> None:
    path = tmp_path / "storm.hdf5"
    written = [series(seed, first=seed) for seed in range(3)]
    export(path, written, STORM, "well")
    assert trajectories(path) == 3
    for n, one in enumerate(written):
        assert_equal(back(path, n), one)


def test_the_wells_layout(tmp_path: Path) -> None:
    path = tmp_path / "storm.hdf5"
    written = [series(seed) for seed in range(2)]
    export(path, written, STORM, "well")
    with h5py.File(path) as file:
        assert dict(file.attrs, simulation_parameters=list(file.attrs["simulation_parameters"])) == {
            "dataset_name": "storm", "grid_type": "cartesian", "n_spatial_dims": 2, "n_trajectories": 2,
            "simulation_parameters": ["third"], "third": pytest.approx(1 / 3),
        }  # fmt: skip
        assert list(file["dimensions"].attrs["spatial_dims"]) == ["x", "y"]
        assert (file["dimensions/x"].shape, file["dimensions/y"].shape) == ((W,), (H,))
        shapes = {f"t{n}": {name: data.shape for name, data in file[f"t{n}_fields"].items()} for n in range(3)}
        assert shapes == {
            "t0": {"energy": (2, T, W, H), "source": (2, T, W, H)},
            "t1": {"velocity": (2, T, W, H, 2)},
            "t2": {"nematic": (2, T, W, H, 2, 2)},
        }
        assert {data.dtype.str for group in ("t0_fields", "t1_fields") for data in file[group].values()} == {"<f4"}
        energy = file["t0_fields/energy"]
        # column 3, row 5
        np.testing.assert_array_equal(energy[1, :, 3, 5], written[1].energy[:, 5, 3, 0])
        assert energy.attrs["dim_varying"].tolist() == [True, True]
        assert file["scalars/viscosity"].shape == (2,)
        assert file["scalars/third"].shape == ()
        assert {
            name: (item.attrs["bc_type"], list(item.attrs["associated_dims"]), item["mask"].shape)
            for name, item in file["boundary_conditions"].items()
        } == {"x_periodic": ("periodic", ["x"], (W,)), "y_open": ("open", ["y"], (H,))}


def test_netcdf_is_read_by_others(tmp_path: Path) -> None:
    export(tmp_path / "f.nc", [series(calendar=True)], STORM, "netcdf")
    with xr.open_dataset(tmp_path / "f.nc", engine="h5netcdf") as data:
        assert data["energy"].dims == ("time", "y", "x")
        assert data["velocity"].dims == ("time", "y", "x", "velocity_component")
        assert data["time"].values[1] == np.datetime64("2020-01-01T07")
        assert data["energy"].attrs["units"] == "J"
        np.testing.assert_allclose(data["x"].values, np.arange(W) * 0.3)


def test_a_named_variable_of_an_export_is_that_variable(tmp_path: Path) -> None:
    written = series()
    for form in ("npz", "netcdf", "well"):
        path = tmp_path / f"storm{SUFFIX[form]}"
        export(path, [written], STORM, form_(form))
        found = read_file(path, variable="source")
        np.testing.assert_array_equal(found.values, written.context["source"])
        assert found.domain is None


def test_a_lost_chunk_is_missed(tmp_path: Path) -> None:
    written = series()
    # zeros are chunks too
    written = dataclasses.replace(written, energy=np.zeros_like(written.energy))
    path = tmp_path / "storm.zarr"
    export(path, [written], STORM, "zarr")
    assert_equal(back(path), written)
    (path / "energy" / "c" / "2" / "0" / "0").unlink()
    with pytest.raises(FieldError, match=r"expected 4 chunks of 'energy' in storm\.zarr, found 3.*--fill-absent"):
        back(path)
    absent = read_file(path, wanted=Wanted(fill_absent=True)).values
    assert np.isnan(absent[2]).all()
    np.testing.assert_array_equal(absent[[0, 1, 3]], written.energy[[0, 1, 3]])


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_replaced_unless_asked(tmp_path: Path, form: Format) -> None:
    path = tmp_path / f"storm{SUFFIX[form]}"
    export(path, [series(0)], STORM, form)
    with pytest.raises(FieldError, match="--force") as caught:
        export(path, [series(1)], STORM, form)
    assert caught.value.code == "FILE_EXISTS"
    assert_equal(back(path), series(0))
    export(path, [series(1)], STORM, form, force=True)
    assert_equal(back(path), series(1))
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_comes_while_we_write_stays(tmp_path: Path, form: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"storm{SUFFIX[form]}"
    monkeypatch.setattr(exporters, "flush", lambda _: path.write_text("mine"))
    with pytest.raises(FieldError, match="--force"):
        export(path, [series()], STORM, form)
    assert path.read_text() == "mine"
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_leaves_nothing(tmp_path: Path, form: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"storm{SUFFIX[form]}"
    export(path, [series(0)], STORM, form)

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporters, "flush", full)
    with pytest.raises(FieldError, match="No space left") as caught:
        export(path, [series(1)], STORM, form, force=True)
    assert caught.value.code == "UNWRITABLE"
    assert_equal(back(path), series(0))
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([dataclasses.replace(series(), dt=2.0)], "one step"),
        ([dataclasses.replace(series(), context={})], "one context"),
        ([dataclasses.replace(series(), parameters={})], "one parameters"),
        ([series(calendar=True)], "one step|one calendar"),
        ([series().part(0, 2)], "one shape"),
        ([dataclasses.replace(series(), source_total=None)], "one totals"),
    ],
)
def test_trajectories_share_what_the_layout_shares(tmp_path: Path, others: list[Series], said: str) -> None:
    with pytest.raises(FieldError, match=said):
        export(tmp_path / "f.hdf5", [series(), *others], STORM, "well")
    assert list(tmp_path.iterdir()) == []


def test_what_a_format_cannot_hold(tmp_path: Path) -> None:
    three = dataclasses.replace(series(), context={"rgb": np.zeros((T, H, W, 3), np.float32)})
    with pytest.raises(FieldError, match="1, 2 or 4 components of 'rgb'"):
        export(tmp_path / "f.hdf5", [three], STORM, "well")
    export(tmp_path / "f.nc", [three], STORM, "netcdf")
    assert_equal(back(tmp_path / "f.nc"), three)
    with pytest.raises(FieldError, match="one sequence"):
        export(tmp_path / "f.npz", [series(), series()], STORM, "npz")
    with pytest.raises(FieldError, match="expected a folder"):
        export(tmp_path / "nowhere" / "f.npz", [series()], STORM, "npz")
    odd = dataclasses.replace(series(), context={"units": np.zeros((T, H, W, 1), np.float32)})
    with pytest.raises(FieldError, match="other names than 'units'"):
        export(tmp_path / "f.npz", [odd], STORM, "npz")


def test_formats_by_name() -> None:
    assert format_of(Path("a.HDF5"), None) == "well"
    assert format_of(Path("a.nc"), "zarr") == "zarr"
    for path, said in ((Path("a.dat"), None), (Path("a.nc"), "grib")):
        with pytest.raises(FieldError, match="expected a format out of well, netcdf, zarr, npz"):
            format_of(path, said)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '{"format": "fieldgraph series 1"}', "[" * 100_000, '{"format": 1}'],
)
def test_notes_that_are_none(text: str) -> None:
    with pytest.raises(FieldError, match=r"expected a note .* in f\.npz") as caught:
        parse_note(text, "f.npz")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("velocity", np.zeros((T, H, W + 1, 2), np.float32)),
        ("source_total", np.zeros(T + 1)),
        ("energy", np.zeros((H, W), np.float32)),
        ("nematic", None),
    ],
)
def test_an_archive_that_was_tampered_with(tmp_path: Path, name: str, values: np.ndarray | None) -> None:
    export(tmp_path / "f.npz", [series()], STORM, "npz")
    with np.load(tmp_path / "f.npz") as archive:
        members = {key: archive[key] for key in archive.files if key != name}
    if values is not None:
        members[name] = values
    np.savez(tmp_path / "g.npz", **members)
    with pytest.raises(FieldError, match=r"g\.npz") as caught:
        back(tmp_path / "g.npz")
    assert "\n" not in str(caught.value)
