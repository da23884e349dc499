"""`fieldgraph audit` on the command line: one line per defect, one JSON object, exit code 1."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from graph.gateway import Gateway
from graph.settings import Settings
from nvp.atlas.maps.loader import EnergyAtlasLoader
from nvp.atlas.maps.metadata import EnergyMapMetadata
from nvp.atlas.series import Series
from nvp.atlas.store import ArrayStore
from resolvers.cli import audit
from resolvers.services.context import Services
from resolvers.services.ingest import ingest_series


def invoke(*arguments: str | Path, env: dict[str, str] | None = None) -> Result:
    app = typer.Typer()
    app.command()(audit.command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=env)


def test_a_folder_and_its_catalog(tmp_path: Path) -> None:
    atlas = EnergyAtlasLoader(tmp_path / "atlas")
    fields = np.random.default_rng(0).random((3, 16, 16)).astype(np.float32)
    for step, field in enumerate(fields):
        said = EnergyMapMetadata.of(field, domain="fluid_dynamics", sequence="a", step=step, source="synthetic")
        atlas.folder.write_npy(field[..., None], said)
    first = invoke(tmp_path / "atlas", "--json")
    assert first.exit_code == 0, first.stderr
    found = json.loads(first.stdout)
    assert (found["total_maps"], found["bytes"], found["defects"]) == (3, 3 * 16 * 16 * 4, [])
    assert invoke(tmp_path / "atlas", "--verify").exit_code == 0

    path = tmp_path / "atlas" / "fluid_dynamics" / "a" / "0001.npy"
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    again = invoke(tmp_path / "atlas", "--verify", "--json")
    assert again.exit_code == 1
    (defect,) = json.loads(again.stdout)["defects"]
    assert (defect["kind"], defect["uri"]) == ("changed", "fluid_dynamics/a/0001.npy")
    said = invoke(tmp_path / "atlas", "--verify").stdout.splitlines()
    assert said[0].startswith("changed: fluid_dynamics/a/0001.npy: ")
    assert len(said) == 2


def test_a_folder_that_is_not_there_is_bad_use(tmp_path: Path) -> None:
    left = invoke(tmp_path / "nowhere", "--json")
    assert (left.exit_code, left.stdout) == (2, "")
    assert left.stderr.count("\n") == 1


@pytest.mark.db
async def test_the_graph_is_audited_and_mended(
    gateway: Gateway, settings: Settings, environment: dict[str, str], tmp_path: Path
) -> None:
    services = Services(settings=settings, gateway=gateway, store=ArrayStore(tmp_path / "store"))
    energy = np.random.default_rng(0).random((5, 8, 16, 1)).astype(np.float32)
    series = Series(energy=energy, dt=1.0, domain="fluid_dynamics")
    await ingest_series(services, series, source="S", recipe={}, generator="test", label="Simulated")
    await gateway.write("MATCH (e:EnergySnapshot {t_index: 2}) DETACH DELETE e")
    env = environment | {"FIELDGRAPH_STORE": str(tmp_path / "store")}

    found = await asyncio.to_thread(invoke, "--verify", "--json", env=env)
    assert found.exit_code == 1, found.stderr
    assert json.loads(found.stdout)["counts"] == {"missing_frame": 1, "wrong_count": 1}
    mended = await asyncio.to_thread(invoke, "--verify", "--repair", "--json", env=env)
    assert mended.exit_code == 0, mended.stderr
    said = json.loads(mended.stdout)
    assert said["defects"] == []
    assert {one["kind"] for one in said["repaired"]} == {"missing_frame", "wrong_count"}
    assert (await asyncio.to_thread(invoke, "--verify", env=env)).stdout.endswith("0 defects\n")
