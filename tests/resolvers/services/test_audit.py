"""Audit and repair over the store and the graph: each defect is planted, named, and mended where it can be."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any, LiteralString

import h5py
import numpy as np
import pytest

from graph.errors import GraphError, Outage
from graph.gateway import Gateway
from graph.queries import audit as queries
from graph.queries import sequences, timeline
from graph.settings import Settings
from nvp.atlas.series import Series
from nvp.atlas.store import ArrayStore
from nvp.errors import FieldError
from nvp.model.ridge import fit_ridge
from nvp.training import checkpoint
from resolvers.services.audit import _checkpoint, _without, audit_graph
from resolvers.services.context import Services
from resolvers.services.ingest import ingest_series
from resolvers.services.naming import delete_unnamed
from resolvers.services.repair import repair
from tests.graph.queries import builders
from tests.graph.queries.plans import explain, fill
from tests.resolvers.carried import carried

EVERYTHING = """
MATCH (e:EnergySnapshot)
RETURN e {.*} AS snapshot, COLLECT { MATCH (e)-[n:NEXT]->(b) RETURN n {.*, to: b.uid} } AS next,
  COUNT { (e)<-[:HAS_SNAPSHOT]-() } AS owners, COUNT { (e)-[:IN_DOMAIN]->() } AS domains
ORDER BY e.sequence, e.t_index LIMIT 1000
"""
SEQUENCES = "MATCH (s:Sequence) RETURN s {.uid, .length, .first, .last, .digest} AS s ORDER BY s.uid LIMIT 10"


@pytest.fixture
async def services(settings: Settings, gateway: Gateway, tmp_path: Path) -> Services:
    """Two sequences in a store of their own: one of two segments, one beside it."""
    made = Services(settings=settings, gateway=gateway, store=ArrayStore(tmp_path / "store"))
    rng = np.random.default_rng(0)
    for source, first, frames in (("one", 0, 6), ("one", 6, 5), ("two", 0, 4)):
        energy = rng.random((frames, 8, 16, 1)).astype(np.float32)
        series = Series(energy=energy, dt=1.0, first=first, domain="fluid_dynamics")
        await ingest_series(made, series, source=source, recipe={}, generator="test", label="Simulated")
    return made


async def kinds(services: Services, *, verify: bool = False) -> dict[str, int]:
    return (await audit_graph(services, verify=verify)).counts()


async def state(services: Services) -> list[dict[str, Any]]:
    return [*await services.gateway.read(EVERYTHING), *await services.gateway.read(SEQUENCES)]


async def segment_of(services: Services, source: str, number: int = 0) -> timeline.SegmentRow:
    (row,) = await services.gateway.read("MATCH (s:Sequence {source: $source}) RETURN s.uid AS uid", source=source)
    return (await timeline.segments(services.gateway, row["uid"]))[number]


def flip_a_byte_of_frame(path: Path, frame: int) -> None:
    """As a bad disk would: one bit of one cell, HDF5 notices nothing."""
    with h5py.File(path, locking=False) as file:
        offset = file["energy"].id.get_chunk_info_by_coord((frame, 0, 0, 0)).byte_offset
    with path.open("r+b") as raw:
        raw.seek(offset + 10)
        byte = raw.read(1)[0]
        raw.seek(offset + 10)
        raw.write(bytes([byte ^ 1]))


def plant_file(store: ArrayStore, *, age_s: float = 0.0, kind: str = "segments", suffix: str = ".h5") -> Path:
    sha = builders.sha("orphan", kind, age_s)
    path = store.root / kind / sha[:2] / f"{sha}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"nobody refers to this")
    then = time.time() - age_s
    os.utime(path, (then, then))
    return path


@pytest.mark.db
async def test_a_sound_store_has_no_defects(services: Services) -> None:
    found = await audit_graph(services, verify=True)
    assert found.defects == []
    assert dict(found.checked) == {"segments": 3, "sequences": 2, "snapshots": 15, "files": 3}
    before = await state(services)
    assert await repair(services, found, now=True) == []
    assert await state(services) == before


@pytest.mark.db
async def test_one_of_each_is_named(services: Services) -> None:
    """A flipped byte, a missing frame, an orphan file and a node without its file, at once."""
    one, second, two = [await segment_of(services, *which) for which in (("one", 0), ("one", 1), ("two", 0))]
    flip_a_byte_of_frame(services.store.path(one.uri), 3)
    await services.gateway.write("MATCH (e:EnergySnapshot {uri: $uri}) DETACH DELETE e", uri=f"{second.uri}#2")
    services.store.remove(two.uri)
    orphan = plant_file(services.store)
    # without reading the files, all but the flipped byte
    assert await kinds(services) == {"missing_file": 1, "missing_frame": 1, "wrong_count": 1, "orphan_file": 1}
    found = {}
    for defect in (await audit_graph(services, verify=True)).defects:
        found.setdefault(defect.kind, []).append(defect)
        assert "\n" not in defect.detail
    assert {(d.uri, "frame 3 (t_index 3" in d.detail) for d in found["changed_file"]} == {
        (one.uri, False),
        (f"{one.uri}#3", True),
    }
    (frame,) = found["missing_frame"]
    assert (frame.uri, frame.detail.startswith("t_index 8 of sequence")) == (f"{second.uri}#2", True)
    assert [d.uri for d in found["missing_file"]] == [two.uri]
    assert [d.uri for d in found["orphan_file"]] == [orphan.relative_to(services.store.root).as_posix()]

    # what only a backup has stays a defect, and nothing of it is touched
    done = await repair(services, await audit_graph(services, verify=True))
    assert {defect.kind for defect in done} == {"missing_frame", "wrong_count"}
    assert await kinds(services, verify=True) == {"changed_file": 2, "missing_file": 1, "orphan_file": 1}
    assert orphan.exists()


BREAKS: dict[str, tuple[LiteralString, dict[str, int]]] = {
    "next": ("MATCH (:EnergySnapshot {t_index: 5})-[n:NEXT]->() DELETE n", {"missing_next": 1}),
    "owner": (
        "MATCH (:EnergySnapshot {t_index: 7})<-[n:HAS_SNAPSHOT]-() DELETE n",
        {"missing_link": 1, "wrong_count": 1},
    ),
    "domain": ("MATCH (:EnergySnapshot {t_index: 8})-[n:IN_DOMAIN]->() DELETE n", {"missing_link": 1}),
    "length": ("MATCH (s:Sequence {source: 'one'}) SET s.length = 12", {"wrong_count": 1}),
    "last": ("MATCH (s:Sequence {source: 'one'}) SET s.last = 99", {"wrong_count": 1}),
    "chain": ("MATCH (s:Sequence {source: 'one'}) SET s.digest = 'else'", {"broken_chain": 1}),
    "descriptor": ("MATCH (e:EnergySnapshot {t_index: 9}) REMOVE e.descriptor, e.mean", {"missing_statistic": 1}),
    "first frame": (
        "MATCH (e:EnergySnapshot {t_index: 0})<-[:HAS_SNAPSHOT]-(:Sequence {source: 'one'}) DETACH DELETE e",
        {"missing_frame": 1, "wrong_count": 1},
    ),
    "frames in the middle": (
        "MATCH (e:EnergySnapshot)<-[:HAS_SNAPSHOT]-(:Sequence {source: 'one'}) "
        "WHERE e.t_index IN [4, 5, 6] DETACH DELETE e",
        {"missing_frame": 2, "wrong_count": 1},
    ),
    "all frames of a sequence": (
        "MATCH (e:EnergySnapshot)<-[:HAS_SNAPSHOT]-(:Sequence {source: 'two'}) DETACH DELETE e",
        {"missing_frame": 1},
    ),
}


@pytest.mark.db
@pytest.mark.parametrize("name", BREAKS)
async def test_what_the_graph_lost_is_named_and_comes_back(services: Services, name: str) -> None:
    before = await state(services)
    query, expected = BREAKS[name]
    await services.gateway.write(query)
    assert await state(services) != before
    found = await audit_graph(services)
    assert found.counts() == expected
    done = await repair(services, found)
    assert {defect.kind for defect in done} == set(expected)
    assert await kinds(services, verify=True) == {}
    assert await state(services) == before


@pytest.mark.db
async def test_orphans_are_spared_while_they_may_be_wanted(services: Services) -> None:
    # older by seconds than the run below, whose start is known to the second
    old, young = plant_file(services.store, age_s=2 * 86_400), plant_file(services.store, age_s=5.0)
    uploaded = plant_file(services.store, kind="objects", suffix=".npy")
    left = plant_file(services.store, age_s=3 * 86_400, kind="objects", suffix=".npy")
    found = await audit_graph(services)
    named = {services.store.root / defect.uri for defect in found.defects}
    assert named == {old, young, left}, "an array that was just uploaded is waiting for its ingest"
    # a run at work may be about to record what it writes
    run = await builders.started(services.gateway)
    later = plant_file(services.store, age_s=-2.0)
    named = {services.store.root / defect.uri for defect in (await audit_graph(services)).defects}
    assert named == {old, young, left}
    later.unlink()
    await services.gateway.write("MATCH (r:Run {uid: $uid}) DETACH DELETE r", uid=run.uid)

    await repair(services, found)
    assert [path.exists() for path in (old, young, uploaded, left)] == [False, True, True, False]
    await repair(services, await audit_graph(services), now=True)
    assert [path.exists() for path in (young, uploaded)] == [False, True]
    assert await kinds(services, verify=True) == {}


@pytest.mark.db
async def test_damaged_files_do_not_stop_the_audit(services: Services) -> None:
    one, two = await segment_of(services, "one"), await segment_of(services, "two")
    for segment in (one, two):
        path = services.store.path(segment.uri)
        path.write_bytes(path.read_bytes()[:700])
    for verify in (False, True):
        assert await kinds(services, verify=verify) == {"damaged_file": 2}


def test_a_checkpoint_that_is_not_what_was_written_is_named(tmp_path: Path) -> None:
    place = tmp_path / "checkpoint"
    digest = checkpoint.write(place, {"kind": "test"}, {"params/a": np.arange(4096, dtype=np.float32)})
    assert _checkpoint(place, digest, verify=True) is None
    largest = max((path for path in place.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    for damaged in (whole[:1000], whole[:-1] + bytes([whole[-1] ^ 1])):
        largest.write_bytes(damaged)
        kind, said = _checkpoint(place, digest, verify=True) or ("", "")
        assert (kind, "files that were altered" in said, "or train again" in said) == ("damaged_file", True, True)
        assert _checkpoint(place, digest, verify=False) is None
    largest.write_bytes(whole)
    # whole in itself and of other arrays than the graph has
    kind, said = _checkpoint(place, builders.sha("other"), verify=True) or ("", "")
    assert (kind, digest[:16] in said) == ("changed_file", True)
    for verify in (False, True):
        assert (_checkpoint(tmp_path / "none", digest, verify=verify) or "")[0] == "missing_file"


def test_a_ridge_regression_is_a_checkpoint_too(tmp_path: Path) -> None:
    model = fit_ridge([carried(frames=12)])
    model.save(tmp_path)
    assert _checkpoint(tmp_path, model.sha256, verify=True) is None
    assert (_checkpoint(tmp_path, builders.sha("other"), verify=True) or "")[0] == "changed_file"
    weights = tmp_path / "weights.npz"
    for damaged in (weights.read_bytes()[:300], b""):
        weights.write_bytes(damaged)
        assert (_checkpoint(tmp_path, model.sha256, verify=True) or "")[0] == "damaged_file"


@pytest.mark.db
async def test_uris_that_are_none_are_named(services: Services) -> None:
    await services.gateway.write("MATCH (e:EnergySnapshot {t_index: 2}) SET e.uri = '../elsewhere#0'")
    await services.gateway.write("MATCH (g:Segment {first: 6}) SET g.uri = 'segments/x.h5'")
    # the frames of that segment lie where they lay, and its file is no orphan for that
    assert await kinds(services, verify=True) == {"missing_file": 3}


def test_what_no_run_covers() -> None:
    whole = range(3, 10)
    assert _without(whole, []) == [whole]
    assert _without(whole, [range(20)]) == []
    assert _without(whole, [range(2), range(4, 6), range(9, 12)]) == [range(3, 4), range(6, 9)]
    assert _without(whole, [range(4), range(4, 9)]) == [range(9, 10)]


@pytest.mark.db
async def test_pages_come_off_an_index(gateway: Gateway) -> None:
    await fill(gateway)
    for name in ("SEQUENCES", "FRAMES", "PREDICTED", "CHECKPOINTS", "NAMED_STILL", "SEGMENTS_NAMED", "LIVE",
                 "MEND_NEXT", "MEND_OWNER", "MEND_SEQUENCE", "MEND_STATISTICS"):  # fmt: skip
        found = await explain(gateway, getattr(queries, name))
        assert not {operator for operator in found if operator.endswith("Scan")}, name
        assert any("Seek" in operator for operator in found), name
        if name in ("FRAMES", "PREDICTED", "CHECKPOINTS"):
            assert not {"Sort", "Top"} & found, name


@pytest.mark.db
async def test_pages_make_up_the_whole(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "PAGE", 3)
    await services.gateway.write("MATCH (:EnergySnapshot {t_index: 2})-[n:NEXT]->() DELETE n")
    found = await audit_graph(services)
    assert found.checked["snapshots"] == 15
    # between two pages, in both sequences
    assert found.counts() == {"missing_next": 2}
    await repair(services, found)
    assert await kinds(services) == {}


async def test_an_orphan_that_was_taken_up_since_stays(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found before somebody recorded it: by the time of the repair it is a sequence's only file."""
    rng = np.random.default_rng(1)
    late = Series(energy=rng.random((3, 8, 16, 1)).astype(np.float32), dt=1.0, domain="fluid_dynamics")

    async def cut_off(*_: Any, **__: Any) -> None:
        raise Outage("NO_SERVER", "the server went away.", next_step="")

    with monkeypatch.context() as patch:
        patch.setattr(sequences, "append_segment", cut_off)
        with pytest.raises(Outage):
            await ingest_series(services, late, source="late", recipe={}, generator="test", label="Simulated")
    (uri,) = [d.uri for d in (await audit_graph(services)).defects]
    path = services.store.path(uri)
    os.utime(path, (0, 0))
    found = await audit_graph(services)
    assert found.counts() == {"orphan_file": 1}
    await ingest_series(services, late, source="late", recipe={}, generator="test", label="Simulated")
    for now in (False, True):
        assert await repair(services, found, now=now) == []
    assert await kinds(services, verify=True) == {}
    assert path.stat().st_mtime > time.time() - 3600  # young again: another audit's list does not hold it either


async def test_a_file_that_goes_while_it_is_recorded_is_written_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    late = Series(energy=rng.random((3, 8, 16, 1)).astype(np.float32), dt=1.0, domain="fluid_dynamics")
    append = sequences.append_segment

    async def swept(gateway: Gateway, sequence: Any, segment: Any, *others: Any, **more: Any) -> Any:
        assert await delete_unnamed(services, segment.uri)
        return await append(gateway, sequence, segment, *others, **more)

    monkeypatch.setattr(sequences, "append_segment", swept)
    await ingest_series(services, late, source="late", recipe={}, generator="test", label="Simulated")
    assert await kinds(services, verify=True) == {}


async def test_a_refused_writer_leaves_the_file_that_another_one_recorded(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    late = Series(energy=rng.random((3, 8, 16, 1)).astype(np.float32), dt=1.0, domain="fluid_dynamics")
    append = sequences.append_segment

    async def refused(gateway: Gateway, sequence: Any, segment: Any, *others: Any, **more: Any) -> Any:
        monkeypatch.setattr(sequences, "append_segment", append)
        await ingest_series(services, late, source="faster", recipe={}, generator="test", label="Simulated")
        raise GraphError("SEQUENCE_EXISTS", "another one was faster.", next_step="")

    monkeypatch.setattr(sequences, "append_segment", refused)
    with pytest.raises(GraphError):
        await ingest_series(services, late, source="late", recipe={}, generator="test", label="Simulated")
    assert await kinds(services, verify=True) == {}


async def test_a_sequence_that_has_grown_since_is_left_alone(services: Services) -> None:
    before = await state(services)
    (uid,) = [row["s"]["uid"] for row in before if row.get("s", {}).get("length") == 11]
    numbers = {"length": 1, "first": 0, "last": 0, "digest": "old"}
    await queries.mend_sequence(services.gateway, uid, **numbers, known="as it was before it grew")
    assert await state(services) == before


async def test_a_sequence_that_grows_while_it_is_read_has_no_defects(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its counts are read first and its frames later: what came between is no defect."""
    looks, frames = 0, queries.frames
    rng = np.random.default_rng(2)

    async def growing(gateway: Gateway, sequence: str) -> Any:
        nonlocal looks
        looks += 1
        if looks <= growth:
            (row,) = await gateway.read("MATCH (s:Sequence {uid: $uid}) RETURN s {.source, .last} AS s", uid=sequence)
            energy = rng.random((2, 8, 16, 1)).astype(np.float32)
            series = Series(energy=energy, dt=1.0, first=row["s"]["last"] + 1, domain="fluid_dynamics")
            source = row["s"]["source"]
            await ingest_series(services, series, source=source, recipe={}, generator="test", label="Simulated")
        async for page in frames(gateway, sequence):
            yield page

    monkeypatch.setattr(queries, "frames", growing)
    growth = 1
    found = await audit_graph(services, verify=True)
    assert (found.defects, looks) == ([], 3)  # one of the two sequences twice
    assert (found.checked["snapshots"], found.checked["sequences"]) == (17, 2)
    # one that never holds still says so, and nothing else
    looks, growth = 0, 99
    found = await audit_graph(services)
    assert (found.defects, found.checked["growing sequences"]) == ([], 2)
    # what is really wrong is told all the same
    looks, growth = 0, 1
    await services.gateway.write("MATCH (:EnergySnapshot {t_index: 2})-[n:NEXT]->() DELETE n")
    assert (await audit_graph(services)).counts() == {"missing_next": 2}


async def test_repair_of_a_store_that_cannot_be_written_is_one_line(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_file(services.store, age_s=2 * 86_400.0)
    found = await audit_graph(services)

    def read_only(path: Path, *_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    for step in ("mkdir", "rename", "unlink"):
        assert await kinds(services) == {"orphan_file": 1}  # nothing was lost so far
        with monkeypatch.context() as patch:
            patch.setattr(Path, step, read_only)
            with pytest.raises(FieldError) as caught:
                await repair(services, found)
        assert caught.value.code == "STORE_UNWRITABLE"
