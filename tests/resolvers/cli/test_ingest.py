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
    before, stored = await counts(gateway), sorted((tmp_path / "store").rglob("*.h5"))
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
