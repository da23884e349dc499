"""Ingest against a real Neo4j: idempotent, restartable, parallel-safe, and never half-written."""

import asyncio
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from graph.errors import Conflict, GraphError
from graph.gateway import Gateway
from graph.queries import sequences
from graph.settings import Settings
from nvp.atlas.canonical import digest
from nvp.atlas.series import Series
from nvp.atlas.store import ArrayStore
from nvp.errors import FieldError
from resolvers.services import belonging, material
from resolvers.services.context import Services
from resolvers.services.importing import IngestRequest
from resolvers.services.ingest import IngestReport, ingest_file, ingest_series
from resolvers.services.loading import load, load_stretches

pytestmark = pytest.mark.db

HOURS = 48
FIELD = 280.0 + np.random.default_rng(0).random((HOURS, 8, 16)).astype(np.float32)
REANALYSIS = Path("../shared/data/era5_t2m_uk_2019-03.nc")
START = np.datetime64("2019-03-01T00", "ns")

COUNTS = """
RETURN count {(:Sequence)} AS sequences, count {(:Segment)} AS segments,
  count {(:EnergySnapshot:Observed)} AS snapshots, count {()-[:NEXT]->()} AS next,
  count {(:Sequence)-[:HAS_SNAPSHOT]->()} AS has, count {()-[:IN_DOMAIN]->(:Domain)} AS of
"""
SNAPSHOTS = """
MATCH (e:EnergySnapshot) RETURN e {.uid, .sha256, .uri, .valid_time, .t_index, .mean, .entropy, .regime,
  descriptor: size(e.descriptor)} AS snapshot ORDER BY e.valid_time, e.t_index LIMIT 10000
"""
URIS = "MATCH (g:Segment) RETURN g.uri AS uri LIMIT 10000"


@pytest.fixture
def services(settings: Settings, gateway: Gateway, tmp_path: Path) -> Services:
    return Services(settings=settings, gateway=gateway, store=ArrayStore(tmp_path / "store"))


def write(path: Path, hours: range | list[int], field: np.ndarray = FIELD) -> Path:
    chosen = np.array(hours)
    np.savez(path, t2m=field[chosen], valid_time=START + chosen * np.timedelta64(3600, "s"), units="K")
    return path


async def take(services: Services, path: Path, **more) -> IngestReport:
    request = IngestRequest(path=path, domain="surface_temperature", source=more.pop("source", "S"), **more)
    return await ingest_file(services, request)


async def counts(services: Services) -> dict[str, int]:
    return (await services.gateway.read(COUNTS))[0]


async def snapshots(services: Services) -> list[dict]:
    return [row["snapshot"] for row in await services.gateway.read(SNAPSHOTS)]


def files(services: Services) -> set[str]:
    root = services.store.root
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} - {belonging.FILE}


async def test_a_file_becomes_a_sequence(services: Services, tmp_path: Path) -> None:
    report = await take(services, write(tmp_path / "f.npz", range(HOURS)))
    assert (report.frames, report.created, report.segments, report.dt) == (HOURS, HOURS, 1, 3600.0)
    assert await counts(services) == {
        "sequences": 1, "segments": 1, "snapshots": HOURS, "next": HOURS - 1, "has": HOURS, "of": HOURS,
    }  # fmt: skip
    for k, row in enumerate(await snapshots(services)):
        array = services.store.read_array(row["uri"])
        np.testing.assert_array_equal(array[..., 0], FIELD[k])
        assert digest(array) == row["sha256"]
        assert row["t_index"] == k
        assert row["mean"] == pytest.approx(FIELD[k].mean(dtype=float))
        assert row["valid_time"].to_native().isoformat() == f"2019-03-0{1 + k // 24}T{k % 24:02}:00:00+00:00"
        # the domain is signed: no entropy
        assert (row["entropy"], row["descriptor"]) == (None, 64)
    series = await load(services, report.sequence, 5, 20)
    np.testing.assert_array_equal(series.energy[..., 0], FIELD[5:21])


async def test_the_same_again_adds_nothing(services: Services, tmp_path: Path) -> None:
    first = await take(services, write(tmp_path / "f.npz", range(HOURS)))
    before, stored = await counts(services), files(services)
    again = await take(services, tmp_path / "f.npz")
    assert (again.created, again.segments, again.sequence) == (0, 0, first.sequence)
    # what is there already is no growth, even as a part
    assert (await take(services, write(tmp_path / "part.npz", range(5, 9)))).created == 0
    assert (await counts(services), files(services)) == (before, stored)


async def test_growth_wants_append(services: Services, tmp_path: Path) -> None:
    await take(services, write(tmp_path / "f.npz", range(20)))
    before, stored = await counts(services), files(services)
    longer = write(tmp_path / "longer.npz", range(30))
    with pytest.raises(GraphError, match="--append") as caught:
        await take(services, longer)
    assert caught.value.code == "SEQUENCE_EXISTS"
    assert (await counts(services), files(services)) == (before, stored)
    report = await take(services, longer, append=True)
    assert (report.frames, report.created, report.segments) == (30, 10, 1)
    # NEXT crosses the segments
    assert (await counts(services))["next"] == 29


async def test_frames_that_come_late_go_where_they_belong(services: Services, tmp_path: Path) -> None:
    report = await take(services, write(tmp_path / "late.npz", range(10, 20)))
    await take(services, write(tmp_path / "early.npz", range(12)), append=True)
    assert [row["t_index"] for row in await snapshots(services)] == list(range(-10, 10))
    series = await load(services, report.sequence, -10, 9)
    np.testing.assert_array_equal(series.energy[..., 0], FIELD[:20])
    assert series.valid_time is not None
    assert series.valid_time[0] == START


async def test_gaps_stay_gaps_until_they_are_filled(services: Services, tmp_path: Path) -> None:
    report = await take(services, write(tmp_path / "holes.npz", [0, 1, 2, 6, 7, 11]))
    assert report.segments == 3
    assert (await counts(services))["next"] == 3
    assert [len(part) for part in await load_stretches(services, report.sequence, 0, 11)] == [3, 2, 1]
    assert (await take(services, write(tmp_path / "all.npz", range(12)), append=True)).created == 6
    assert (await counts(services))["next"] == 11


async def test_other_values_at_the_same_time_are_refused(services: Services, tmp_path: Path) -> None:
    await take(services, write(tmp_path / "f.npz", range(20)))
    before, stored, there = await counts(services), files(services), await snapshots(services)
    other = FIELD.copy()
    other[25, 0, 0] += 1
    # the frames that differ come last: nothing before them may be written
    changed = write(
        tmp_path / "changed.npz", range(10, 30), np.where(np.arange(HOURS)[:, None, None] == 12, other + 1, other)
    )
    with pytest.raises(Conflict, match="--source") as caught:
        await take(services, changed, append=True)
    assert caught.value.code == "FRAME_CONFLICT"
    assert (await counts(services), files(services), await snapshots(services)) == (before, stored, there)
    assert (await take(services, changed, source="another")).created == 20


async def test_replace_puts_new_frames_in_place_of_old_ones(services: Services, tmp_path: Path) -> None:
    report = await take(services, write(tmp_path / "f.npz", range(20)))
    better = write(tmp_path / "better.npz", range(5, 10), FIELD + 1)
    assert (await take(services, better, replace=True)).created == 5
    assert (await counts(services))["snapshots"] == 20
    series = await load(services, report.sequence, 0, 19)
    np.testing.assert_array_equal(series.energy[5:10, ..., 0], (FIELD + 1)[5:10])
    np.testing.assert_array_equal(series.energy[10:, ..., 0], FIELD[10:20])


@pytest.mark.parametrize("between", ["segments", "file and graph"])
async def test_killed_half_way_and_run_again_ends_equal(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    monkeypatch.setattr(material, "SEGMENT_FRAMES", 8)
    path = write(tmp_path / "f.npz", range(HOURS))
    request = IngestRequest(path=path, domain="surface_temperature", source="S")

    def kill(done: int, total: int) -> None:
        if done == 24:
            raise KeyboardInterrupt

    if between == "segments":
        with pytest.raises(KeyboardInterrupt):
            await ingest_file(services, request, kill)
    else:
        append, calls = sequences.append_segment, count()

        async def die_at_the_fourth(*arguments, **keywords):
            if next(calls) == 3:
                raise KeyboardInterrupt
            return await append(*arguments, **keywords)

        with monkeypatch.context() as patch:
            patch.setattr(sequences, "append_segment", die_at_the_fourth)
            with pytest.raises(KeyboardInterrupt):
                await ingest_file(services, request)
        assert len(files(services)) == 4
    assert (await counts(services))["snapshots"] == 24

    seen: list[tuple[int, int]] = []
    # no --append: the sequence is finished, not grown
    report = await ingest_file(services, request, lambda done, total: seen.append((done, total)))
    assert (report.created, report.segments) == (24, 3)
    assert seen == [(24, 48), (32, 48), (40, 48), (48, 48)]
    assert await counts(services) == {
        "sequences": 1, "segments": 6, "snapshots": HOURS, "next": HOURS - 1, "has": HOURS, "of": HOURS,
    }  # fmt: skip
    assert files(services) == {row["uri"] for row in await services.gateway.read(URIS)}


async def test_sixteen_at_once_equal_one_ingest_of_the_union(
    services: Services, settings: Settings, tmp_path: Path
) -> None:
    """Overlapping files, each by a gateway (and driver) of its own."""
    draw = np.random.default_rng(1)
    starts = [0, HOURS - 12, *draw.integers(0, HOURS - 12, 14).tolist()]
    paths = [write(tmp_path / f"{k}.npz", range(start, start + 12)) for k, start in enumerate(starts)]
    union = sorted({hour for start in starts for hour in range(start, start + 12)})
    async with AsyncExitStack() as stack:
        own = [
            Services(
                settings=settings,
                gateway=await stack.enter_async_context(Gateway.open(settings)),
                store=ArrayStore(services.store.root),
            )
            for _ in paths
        ]
        reports = await asyncio.gather(*(take(each, path, append=True) for each, path in zip(own, paths, strict=True)))
    assert sum(report.created for report in reports) == len(union)
    found, found_counts = await snapshots(services), await counts(services)
    # every file in the store is a segment of the graph: losers of a race tidied up
    assert files(services) == {row["uri"] for row in await services.gateway.read(URIS)}
    report = reports[0]
    for hour, row in zip(union, found, strict=True):
        np.testing.assert_array_equal(services.store.read_array(row["uri"])[..., 0], FIELD[hour])
    assert sum(len(part) for part in await load_stretches(services, report.sequence, -HOURS, HOURS)) == len(union)

    # the same union in one file, in an empty graph
    await services.gateway.execute_schema("MATCH (n) WHERE n:Sequence OR n:Segment OR n:EnergySnapshot DETACH DELETE n")
    await take(services, write(tmp_path / "union.npz", union))
    alone, alone_counts = await snapshots(services), await counts(services)
    assert [(row["uid"], row["sha256"]) for row in alone] == [(row["uid"], row["sha256"]) for row in found]
    # segments are files: how many there are follows from who came first, what is in them does not
    assert {**alone_counts, "segments": 0} == {**found_counts, "segments": 0}


async def test_a_series_with_context_and_totals(services: Services) -> None:
    draw = np.random.default_rng(0)
    series = Series(
        energy=draw.random((6, 16, 8, 1), dtype=np.float32),
        context={"velocity": draw.standard_normal((6, 16, 8, 2)).astype(np.float32)},
        parameters={"diffusivity": 0.01}, dt=2.1, domain="fluid_dynamics",
        source_total=np.zeros(6), outflow_total=np.arange(6.0),
    )  # fmt: skip
    for created in (6, 0):
        report = await ingest_series(
            services, series, source="seed 0", recipe={"rng_seed": 0}, generator="fluid", label="Simulated", rng_seed=0
        )
        assert report.created == created
    back = await load(services, report.sequence, 0, 5)
    np.testing.assert_array_equal(back.energy, series.energy)
    np.testing.assert_array_equal(back.context["velocity"], series.context["velocity"])
    assert (back.parameters, back.dt, back.uid) == ({"diffusivity": 0.01}, 2.1, report.sequence)
    rows = await services.gateway.read(
        "MATCH (e:Simulated) RETURN e {.context_names, .context_uri, .context_sha256, .outflow_total, .entropy} AS e "
        "ORDER BY e.t_index LIMIT 10"
    )
    for k, row in enumerate(rows):
        assert row["e"]["context_names"] == ["velocity"]
        assert row["e"]["outflow_total"] == k
        assert 0 < row["e"]["entropy"] < np.log(128)
        assert digest(services.store.read_array(row["e"]["context_uri"])) == row["e"]["context_sha256"]


@pytest.mark.parametrize("how", ["crop", "regrid"])
async def test_the_choice_of_grid_is_part_of_the_identity(services: Services, tmp_path: Path, how) -> None:
    field = 280.0 + np.random.default_rng(0).random((HOURS, 33, 49)).astype(np.float32)
    path = write(tmp_path / "f.npz", range(6), field)
    with pytest.raises(FieldError, match="--crop"):
        await take(services, path)
    assert not services.store.root.exists()
    report = await take(services, path, fit=how)
    assert (report.height, report.width) == (32, 48)
    recipe = (await services.gateway.read("MATCH (s:Sequence) RETURN s.recipe_json AS recipe LIMIT 1"))[0]["recipe"]
    assert f'"fit":"{how}"' in recipe
    assert (await take(services, path, fit="crop" if how == "regrid" else "regrid")).sequence != report.sequence


@pytest.mark.skipif(not REANALYSIS.exists(), reason="../shared/data is absent")
async def test_real_reanalysis(services: Services) -> None:
    request = IngestRequest(path=REANALYSIS, variable="t2m", domain="surface_temperature", fit="crop")
    report = await ingest_file(services, request)
    assert (report.frames, report.height, report.width, report.source) == (504, 32, 48, "era5_t2m_uk_2019-03")
    assert (await counts(services))["next"] == 503
    assert (await ingest_file(services, request)).created == 0
