"""What an ingest takes in: frames on the steps that are there, and segments that lie in the store already."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graph.errors import GraphError
from graph.gateway import Gateway
from graph.queries.sequences import NewSequence
from graph.settings import Settings
from nvp.atlas.series import Series
from nvp.atlas.store import ArrayStore
from resolvers.services import material
from resolvers.services.context import Services
from resolvers.services.ingest import ingest_series, ingest_stored
from resolvers.services.material import Material
from tests.conftest import EMPTY

START = np.datetime64("2019-03-01T00", "ns")
HOUR = np.timedelta64(3600, "s")
FIELD = np.random.default_rng(0).random((40, 8, 16, 1)).astype(np.float32)
SEQUENCE = NewSequence(
    domain="fluid_dynamics", source="S", recipe={}, height=8, width=16, dt=1.0, generator="test", rng_seed=None
)
EVERYTHING = """
MATCH (e:EnergySnapshot)
RETURN e {.*} AS snapshot, COLLECT { MATCH (e)-[n:NEXT]->(b) RETURN n {.*, to: b.uid} } AS next
ORDER BY e.t_index LIMIT 1000
"""


@pytest.fixture
def services(settings: Settings, gateway: Gateway, tmp_path: Path) -> Services:
    return Services(settings=settings, gateway=gateway, store=ArrayStore(tmp_path / "store"))


def hourly(start: np.datetime64, frames: slice, step: np.timedelta64 = HOUR) -> Series:
    energy = FIELD[frames]
    return Series(
        energy=energy,
        dt=step / np.timedelta64(1, "s"),
        valid_time=start + np.arange(len(energy)) * step,
        domain="fluid_dynamics",
    )


async def take(services: Services, series: Series) -> int:
    report = await ingest_series(
        services, series, source="S", recipe={}, generator="import", label="Observed", append=True
    )
    return report.created


@pytest.mark.db
async def test_frames_between_the_hours_of_an_hourly_series_are_refused(services: Services) -> None:
    await take(services, hourly(START, slice(0, 10)))
    before = await services.gateway.read(EVERYTHING)
    half = np.timedelta64(1800, "s")
    for bad, message in (
        (hourly(START + 10 * HOUR + half, slice(10, 12)), r"such as 2019-03-01T00:00.*, got 2019-03-01T10:30"),
        (hourly(START + half, slice(0, 2)), "got 2019-03-01T00:30"),
        (hourly(START + 10 * HOUR, slice(10, 14), half), "expected a step of 3600 .* got 1800"),
        (replace(hourly(START, slice(10, 12)), valid_time=None), "which has times.*, got steps"),
    ):
        with pytest.raises(GraphError, match=message) as caught:
            await take(services, bad)
        assert caught.value.code == "OTHER_TIMES"
        assert "\n" not in str(caught.value)
    assert await services.gateway.read(EVERYTHING) == before
    assert len(list(services.store.root.rglob("*.h5"))) == 1
    # the same times go on, be they rounded in the file by a second
    assert await take(services, hourly(START + 8 * HOUR + np.timedelta64(1, "s"), slice(8, 14))) == 4


def test_a_plan_stays_within_parts_and_within_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [
        Series(energy=FIELD[start:stop], dt=1.0, first=start, domain="d")
        for start, stop in ((0, 10), (10, 13), (20, 40))
    ]
    given = Material(parts, "uid")
    assert (given.first, given.last, len(given)) == (0, 39, 33)
    assert given.plan(given.steps()) == [range(10), range(10, 13), range(20, 40)]
    assert given.plan([8, 9, 10, 11, 30]) == [range(8, 10), range(10, 12), range(30, 31)]
    np.testing.assert_array_equal(given.read(range(11, 13)).energy, FIELD[11:13])
    assert (given.read(range(11, 13)).first, given.read(range(11, 13)).uid) == (11, "uid")
    monkeypatch.setattr(material, "SEGMENT_BYTES", 4 * FIELD[0].nbytes)
    assert Material(parts, "uid").plan(range(20, 30)) == [range(20, 24), range(24, 28), range(28, 30)]


@pytest.mark.db
async def test_segments_in_the_store_are_read_and_not_written_again(services: Services) -> None:
    series = Series(energy=FIELD, dt=1.0, domain="fluid_dynamics", uid=SEQUENCE.uid)
    uris = [services.store.write_segment(series.part(k, k + 10)).uri for k in range(0, 40, 10)]
    files = {path: path.stat().st_ino for path in services.store.root.rglob("*") if path.is_file()}
    report = await ingest_stored(services, SEQUENCE, uris, label="Simulated")
    assert (report.created, report.segments, report.first_step, report.last_step) == (40, 4, 0, 39)
    first = await services.gateway.read(EVERYTHING)
    assert sum(len(row["next"]) for row in first) == 39
    assert (await ingest_stored(services, SEQUENCE, uris, label="Simulated")).created == 0

    await services.gateway.execute_schema(EMPTY)
    assert (await ingest_stored(services, SEQUENCE, uris, label="Simulated")).created == 40
    assert await services.gateway.read(EVERYTHING) == first
    # reuse makes a file young again, which only its time shows; written anew it would be another one
    assert {path: path.stat().st_ino for path in services.store.root.rglob("*") if path.is_file()} == files


INGEST = """
import asyncio, sys
from pathlib import Path
from graph.settings import Settings
from resolvers.services import material
from resolvers.services.context import open_services
from resolvers.services.ingest import ingest_series
from tests.resolvers.services.test_material import FIELD, Series

material.SEGMENT_FRAMES = 4

async def main():
    async with open_services(Settings()) as services:
        series = Series(energy=FIELD, dt=1.0, domain="fluid_dynamics")
        await ingest_series(services, series, source="S", recipe={}, generator="test", label="Simulated",
                            progress=lambda done, total: print(done, flush=True))
asyncio.run(main())
"""


def ingest_in_a_process(environment: dict[str, str], kill_at: int | None) -> None:
    with subprocess.Popen([sys.executable, "-c", INGEST], env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if kill_at is not None and int(line) >= kill_at:
                os.kill(child.pid, signal.SIGKILL)
                break
    assert child.returncode == (0 if kill_at is None else -signal.SIGKILL)


@pytest.mark.db
async def test_a_process_killed_half_way_and_run_again_ends_equal(
    services: Services, environment: dict[str, str], tmp_path: Path
) -> None:
    async def after(environment: dict[str, str], *, kill_at: int | None) -> list[dict[str, Any]]:
        await asyncio.to_thread(ingest_in_a_process, environment, kill_at)
        return await services.gateway.read(EVERYTHING)

    store = environment | {"FIELDGRAPH_STORE": str(tmp_path / "store")}
    cut = await after(store, kill_at=20)
    assert 20 <= len(cut) < 40
    again = await after(store, kill_at=None)
    assert len(again) == 40
    await services.gateway.execute_schema(EMPTY)
    assert await after(environment | {"FIELDGRAPH_STORE": str(tmp_path / "other")}, kill_at=None) == again
    names = [sorted(path.name for path in (tmp_path / of).rglob("*.h5")) for of in ("store", "other")]
    assert names[0] == names[1]
