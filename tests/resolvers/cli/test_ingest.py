"""`fieldgraph ingest` as a user meets it: one JSON object, one-line errors, exit codes, nothing half-written."""

import asyncio
import json
import os
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import typer
import xarray as xr
from typer.testing import CliRunner, Result

from graph.gateway import Gateway
from graph.settings import Settings
from resolvers.cli import ingest

TIMES = np.datetime64("2019-03-01T00", "ns") + np.arange(12) * np.timedelta64(3600, "s")
FIELD = 280.0 + np.random.default_rng(0).random((12, 8, 16))


def write(path: Path, values: np.ndarray = FIELD, units: str = "K", **attrs) -> Path:
    times = TIMES[: len(values)]
    array = xr.DataArray(
        values, dims=("time", "latitude", "longitude"), coords={"time": times}, attrs={"units": units, **attrs}
    )
    xr.Dataset({"t2m": array}).to_netcdf(path, engine="h5netcdf")
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that must not come to be: what cannot be ingested starts no server and writes no file."""
    for name in os.environ:
        if name.startswith(("NEO4J_", "FIELDGRAPH_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FIELDGRAPH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def invoke(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(ingest.command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def assert_refused(result: Result, home: Path, *said: str) -> None:
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    for text in said:
        assert text in lines[0]
    assert not home.exists()


def with_value(value: float) -> np.ndarray:
    values = FIELD.copy()
    values[7, 2, 5] = value
    return values


WEATHER = ("--domain", "surface_temperature")
ENERGY = ("--domain", "fluid_dynamics", "--units", "1")


@pytest.mark.parametrize(
    ("options", "values", "said"),
    [
        ((*WEATHER, "--variable", "msl"), FIELD, ("f.nc", "'msl'", "t2m", "--variable")),
        (WEATHER, with_value(np.nan), ("f.nc", "'t2m'", "nan", "(t=7, y=2, x=5)")),
        (WEATHER, with_value(np.inf), ("f.nc", "'t2m'", "inf", "(t=7, y=2, x=5)")),
        (WEATHER, with_value(1e300), ("f.nc", "'t2m'", "inf", "(t=7, y=2, x=5)")),
        (ENERGY, with_value(-0.25), ("f.nc", "'t2m'", "-0.25", "(t=7, y=2, x=5)", "fluid_dynamics")),
        (WEATHER, np.full((2, 33, 49), 280.0), ("f.nc", "'t2m'", "33×49", "--crop", "--regrid")),
        (("--domain", "fluid_dynamics"), FIELD, ("f.nc", "'t2m'", "'K'", "fluid_dynamics", "--units")),
        (("--domain", "aether"), FIELD, ("'aether'", "fluid_dynamics", "surface_temperature")),
        ((*WEATHER, "--crop", "--regrid"), FIELD, ("--crop", "--regrid")),
        ((*WEATHER, "--source", "data/f.nc"), FIELD, ("'data/f.nc'", "name of a source")),
    ],
    ids=[
        "missing variable", "NaN", "infinity", "beyond float32", "negative energy", "33×49", "units", "unknown domain",
        "both choices", "a path as source",
    ],
)  # fmt: skip
def test_bad_input(tmp_path: Path, home: Path, options: tuple[str, ...], values: np.ndarray, said) -> None:
    path = write(tmp_path / "f.nc", values)
    assert_refused(invoke(path, *options), home, *said)
    assert_refused(invoke(path, *options, "--json"), home, *said)


def well(path: Path, *, periodic: bool = True, bad: int | None = None) -> Path:
    """Two trajectories of 8×16 cells in The Well's layout; number `bad` has a NaN."""
    energy = np.random.default_rng(0).random((2, 3, 16, 8)).astype(np.float32)
    if bad is not None:
        energy[bad, 1, 2, 5] = np.nan
    with h5py.File(path, "w") as file:
        file.attrs.update(n_trajectories=2, n_spatial_dims=2, grid_type="cartesian")
        grid = file.create_group("dimensions")
        grid.attrs["spatial_dims"] = ["x", "y"]
        grid["time"], grid["x"], grid["y"] = np.arange(3.0), np.arange(16.0), np.arange(8.0)
        fields = file.create_group("t0_fields")
        fields.attrs["field_names"] = ["density"]
        fields["density"] = energy
        for dim in "xy" if periodic else "x":
            edge = file.create_group(f"boundary_conditions/{dim}")
            edge.attrs.update(associated_dims=[dim], bc_type="periodic")
            edge["mask"] = np.ones(grid[dim].size, bool)
    return path


@pytest.mark.parametrize(
    ("options", "made", "said"),
    [
        (("--trajectory", "2"), {}, ("0 … 1 of f.hdf5", "got 2", "--trajectory")),
        (("--trajectory", "-1"), {}, ("got -1",)),
        (("--variable", "energy"), {}, ("'energy'", "density", "--variable")),
        ((), {"periodic": False}, ("periodic along x and periodic along y", "open", "--any-boundaries")),
        # the second trajectory is bad: the first is not taken either
        ((), {"bad": 1}, ("f.hdf5", "nan", "(t=1, y=5, x=2)")),
        (("--domain", "surface_temperature", "--units", "K"), {}, ("open along x", "got periodic")),
    ],
)
def test_bad_files_of_the_well(tmp_path: Path, home: Path, options: tuple[str, ...], made: dict, said) -> None:
    path = well(tmp_path / "f.hdf5", **made)
    assert_refused(invoke(path, "--domain", "fluid_dynamics", *options), home, *said)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--energy", "u*", "--units", "1"), ("the recipe 'u*'", "the end")),
        (("--energy", "__import__('os').system('true')"), ("the recipe", "character")),
        (("--energy", "9**9**9**9"), ("at least one variable",)),
        (("--energy", "u*w", "--units", "1"), ("'w'", "u, v", "--energy")),
        (("--energy", "0 - u", "--units", "1"), ("f.npz", "'energy'", "at least 0")),
        (("--energy", "u/(u-u)", "--units", "1"), ("f.npz", "inf", "(t=0, y=0, x=0)")),
        (("--energy", "u", "--variable", "u"), ("--variable or --energy",)),
        (("--energy", "u", "--units", "K"), ("'K'", "fluid_dynamics")),
        (("--variable", "u", "--velocity", "u"), ("two variables for --velocity", "'u'")),
        (("--variable", "u", "--velocity", "u,v"), ("f.npz", "--dx and --dy")),
        (("--variable", "u", "--velocity", "u,v", "--dx", "1"), ("--dx and --dy",)),
        (("--variable", "u", "--context", "w"), ("'w'", "--context")),
        (("--variable", "u", "--context", "v,hole"), ("f.npz", "nan", "'hole'", "(t=3, y=4, x=6)")),
        (("--variable", "u", "--trajectory", "0"), ("a file of The Well",)),
        (("--variable", "u", "--dt", "0"), ("--dt as a finite number above 0",)),
    ],
)
def test_bad_recipes_and_contexts(tmp_path: Path, home: Path, options: tuple[str, ...], said) -> None:
    u, v, hole = np.random.default_rng(0).random((3, 4, 8, 16))
    hole[3, 4, 6] = np.nan
    np.savez(tmp_path / "f.npz", u=u, v=v, hole=hole)
    assert_refused(invoke(tmp_path / "f.npz", "--domain", "fluid_dynamics", *options), home, *said)


def test_the_domain_that_a_file_says(tmp_path: Path, home: Path) -> None:
    np.save(tmp_path / "f.npy", FIELD)
    (tmp_path / "f.json").write_text('{"domain": "surface_temperature", "units": "K"}')
    said = ("'surface_temperature', as f.npy says", "'fluid_dynamics'", "--domain surface_temperature")
    assert_refused(invoke(tmp_path / "f.npy", "--domain", "fluid_dynamics"), home, *said)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_truncated_hdf5(tmp_path: Path, home: Path, keep: float) -> None:
    path = write(tmp_path / "f.nc")
    with h5py.File(path) as file:
        assert "t2m" in file
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    assert_refused(invoke(path, *WEATHER), home, str(path), "cannot read", "Copy it again")


def test_no_file(tmp_path: Path, home: Path) -> None:
    assert_refused(invoke(tmp_path / "nowhere.nc", *WEATHER), home, "nowhere.nc")


def test_help_has_an_example() -> None:
    assert "fieldgraph ingest era5" in invoke("--help").stdout


@pytest.fixture
def environment(settings: Settings, gateway: Gateway, tmp_path: Path) -> dict[str, str]:
    """Of a process that uses the session's server and a store of its own."""
    own = {
        "FIELDGRAPH_HOME": str(settings.home),
        "FIELDGRAPH_BOLT_PORT": str(settings.bolt_port),
        "FIELDGRAPH_HTTP_PORT": str(settings.http_port),
        "FIELDGRAPH_STORE": str(tmp_path / "store"),
    }
    return {**os.environ, **own}


async def fieldgraph(environment: dict[str, str], *arguments: str | Path) -> tuple[int, str, str]:
    code = "from resolvers.cli import main; main()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, "ingest", *map(str, arguments), env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def counts(gateway: Gateway) -> dict[str, int]:
    return (
        await gateway.read(
            "RETURN count {(:Sequence)} AS sequences, count {(:EnergySnapshot)} AS snapshots, "
            "count {()-[:NEXT]->()} AS next, count {()-[:HAS_SNAPSHOT]->()} AS has"
        )
    )[0]


@pytest.mark.db
async def test_ingest_again_and_conflict(
    gateway: Gateway, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "f.nc")
    code, out, err = await fieldgraph(environment, path, *WEATHER, "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert (report["frames"], report["created"], report["source"]) == (12, 12, "f")
    before, stored = await counts(gateway), sorted((tmp_path / "store").rglob("*.*"))
    assert before == {"sequences": 1, "snapshots": 12, "next": 11, "has": 12}

    # the same command without the price of a process
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    again = await asyncio.to_thread(invoke, path, *WEATHER)
    assert again.exit_code == 0
    assert again.stdout.startswith("nothing new: all 12 frames")

    other = write(tmp_path / "other.nc", FIELD + 1)
    refused = await asyncio.to_thread(invoke, other, *WEATHER, "--append", "--source", "f")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert len(refused.stderr.strip().splitlines()) == 1
    assert "--replace" in refused.stderr
    assert await counts(gateway) == before
    assert sorted((tmp_path / "store").rglob("*.*")) == stored


@pytest.mark.db
async def test_processes_append_overlapping_files(
    gateway: Gateway, environment: dict[str, str], tmp_path: Path
) -> None:
    paths = []
    for k, (start, stop) in enumerate([(0, 6), (4, 12), (2, 9)]):
        with xr.open_dataset(write(tmp_path / "whole.nc"), engine="h5netcdf") as data:
            data.isel(time=slice(start, stop)).to_netcdf(tmp_path / f"{k}.nc", engine="h5netcdf")
        paths.append(tmp_path / f"{k}.nc")
    results = await asyncio.gather(
        *(fieldgraph(environment, path, *WEATHER, "--append", "--source", "S", "--json") for path in paths)
    )
    assert [code for code, _, _ in results] == [0, 0, 0], results
    assert sum(json.loads(out)["created"] for _, out, _ in results) == 12
    assert await counts(gateway) == {"sequences": 1, "snapshots": 12, "next": 11, "has": 12}
