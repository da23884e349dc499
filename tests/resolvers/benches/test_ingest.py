"""`fieldgraph bench ingest` in small: its figures are of a whole ingest, and doing it again adds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from graph.gateway import Gateway
from graph.settings import Settings
from nvp.atlas.store import ArrayStore
from resolvers.benches.ingest import IngestConfig, bench_ingest
from resolvers.services import material
from resolvers.services.context import Services

pytestmark = pytest.mark.db


async def test_the_figures(
    gateway: Gateway, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resolvers.benches.ingest.SEGMENT_FRAMES", 20)
    monkeypatch.setattr(material, "SEGMENT_FRAMES", 20)
    services = Services(settings=settings, gateway=gateway, store=ArrayStore(tmp_path / "store"))
    told: list[str] = []
    found = await bench_ingest(
        services, IngestConfig(frames=50, scale=16), on_progress=lambda stage, done, line: told.append(stage)
    )
    assert (found["n"], found["rerun"]["created"]) == (50, 0)
    assert found["graph"] == {"snapshots": 50, "next_links": 49, "segments": 3}
    assert found["stages"].keys() == {"read", "hash", "describe", "graph"}
    assert 0 < found["stages"]["graph"] <= found["seconds"]
    assert found["snapshots_per_second"] == pytest.approx(50 / found["seconds"], rel=0.1)
    assert list(dict.fromkeys(told)) == ["store", "ingest", "stages"]
    # every frame is another one
    (row,) = await gateway.read("MATCH (e:EnergySnapshot) RETURN count(DISTINCT e.sha256) AS different")
    assert row["different"] == 50
