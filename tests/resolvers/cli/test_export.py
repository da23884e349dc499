"""`fieldgraph export` as a user meets it: one JSON object, one-line errors, no server for what cannot be done."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from graph.settings import Settings
from nvp.atlas.series import Series
from resolvers.cli import export, ingest
from resolvers.services.context import Services
from resolvers.services.ingest import ingest_series


def invoke(command, *arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a", "there.npz"), "there.npz, found one. Replace it by --force."),
        (("a", "f.dat"), "a format out of well, netcdf, zarr, npz"),
        (("a", "f.nc", "--format", "csv"), "got 'csv'"),
        (("a", "b", "f.nc"), "one sequence for a file of format netcdf, got 2"),
        (("a", "a", "f.hdf5"), "each once"),
        (("a", "nowhere/f.nc"), "expected a folder at nowhere"),
    ],
)
def test_what_cannot_be_done_starts_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    for name in os.environ:
        if name.startswith(("NEO4J_", "FIELDGRAPH_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FIELDGRAPH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.npz").touch()
    result = invoke(export.command, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.strip().splitlines()) == 1
    assert said in result.stderr
    assert sorted(item.name for item in tmp_path.iterdir()) == ["there.npz"]


@pytest.mark.db
async def test_out_and_in_again(
    services: Services, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    energy = np.random.default_rng(0).random((2, 4, 8, 16, 1)).astype(np.float32)
    uids = [
        (
            await ingest_series(
                services,
                Series(energy=energy[n], dt=2.1, domain="fluid_dynamics"),
                source=f"s{n}", recipe={}, generator="test", label="Simulated",
            )
        ).sequence
        for n in range(2)
    ]  # fmt: skip
    for name, value in {
        "HOME": settings.home, "BOLT_PORT": settings.bolt_port, "HTTP_PORT": settings.http_port,
        "STORE": settings.store,
    }.items():  # fmt: skip
        monkeypatch.setenv(f"FIELDGRAPH_{name}", str(value))
    path = tmp_path / "flow.hdf5"
    out = await asyncio.to_thread(invoke, export.command, *uids, path, "--json")
    assert out.exit_code == 0, out.stderr
    report = json.loads(out.stdout)
    assert (report["format"], report["frames"], report["sequences"]) == ("well", 8, uids)
    assert report["bytes"] == path.stat().st_size

    back = await asyncio.to_thread(invoke, ingest.command, path, "--domain", "fluid_dynamics", "--json")
    assert back.exit_code == 0, back.stderr
    taken = json.loads(back.stdout)
    assert (taken["frames"], taken["created"]) == (8, 8)
    assert [one["source"] for one in taken["sequences"]] == ["flow-0", "flow-1"]
    again = await asyncio.to_thread(
        invoke, ingest.command, path, "--domain", "fluid_dynamics", "--trajectory", "1", "--json"
    )
    assert json.loads(again.stdout)["created"] == 0
    # one that is not there: a line, and no file
    missing = await asyncio.to_thread(invoke, export.command, "nobody", tmp_path / "g.npz")
    assert (missing.exit_code, len(missing.stderr.strip().splitlines())) == (2, 1)
    assert not (tmp_path / "g.npz").exists()
