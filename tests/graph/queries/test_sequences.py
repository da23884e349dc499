"""Ingest: whatever comes twice, late, in pieces or at once, the graph is that of one ingest of the union."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from graph import identity
from graph.errors import Conflict, GraphError, NotFound
from graph.gateway import Gateway
from graph.queries import sequences, timeline
from graph.queries.sequences import Appended, Stale
from tests.graph.queries import builders
from tests.graph.queries.builders import append, counts, frame, ingest, new_segment, new_sequence

pytestmark = pytest.mark.db

UID = new_sequence().uid


@pytest.fixture(autouse=True)
async def _domain(gateway: Gateway) -> None:
    await sequences.upsert_domain(gateway, builders.DOMAIN)


def expected(length: int, *, links: int | None = None) -> dict[str, int]:
    """Counts after one ingest of `length` frames without gaps."""
    return {
        "sequences": 1,
        "snapshots": length,
        "next": length - 1 if links is None else links,
        "has_snapshot": length,
        "in_domain": length,
        "of_domain": 1,
        "domains": 1,
    }


async def test_a_segment_becomes_snapshots_in_a_chain(gateway: Gateway) -> None:
    assert await append(gateway, 10, 15) == Appended(created=5, skipped=0)
    assert await counts(gateway) == expected(5)

    row = await timeline.sequence(gateway, UID)
    assert (row.anchor, row.first, row.last, row.length, row.origin) == (10, 0, 4, 5, "Simulated")
    assert row.recipe == {"crop": True}
    frames = await timeline.frames(gateway, UID, 1, 3)
    assert [f.t_index for f in frames] == [1, 2, 3]
    assert [f.uid for f in frames] == [identity.snapshot_uid(UID, step) for step in (11, 12, 13)]
    assert [f.t for f in frames] == [0.5, 1.0, 1.5]
    assert await timeline.snapshot(gateway, frames[0].uid) == frames[0]
    (link,) = await gateway.read(
        "MATCH (:EnergySnapshot {uid: $uid})-[n:NEXT]->() RETURN n.dt AS dt, n.delta_energy AS e, n.delta_entropy AS s",
        uid=frames[0].uid,
    )
    assert link == {"dt": 0.5, "e": pytest.approx(-1.0), "s": pytest.approx(0.1)}


async def test_the_same_segment_again_adds_nothing(gateway: Gateway) -> None:
    await append(gateway, 0, 6)
    before = await timeline.sequence(gateway, UID)
    assert await append(gateway, 0, 6) == Appended(created=0, skipped=6)
    assert await counts(gateway) == expected(6)
    assert await timeline.sequence(gateway, UID) == before


async def test_segments_in_any_order_are_joined_and_one_digest(gateway: Gateway) -> None:
    stretches = [(0, 4), (4, 8), (8, 12), (12, 16)]
    digests = set()
    for number, order in enumerate([(0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 0, 1)]):
        source = f"order {number}"
        for index in order:
            await append(gateway, *stretches[index], source=source)
        row = await timeline.sequence(gateway, new_sequence(source).uid)
        assert row.length == row.last - row.first + 1 == 16
        assert [s.first + row.anchor for s in await timeline.segments(gateway, row.uid)] == [0, 4, 8, 12]
        digests.add(row.digest)
    assert len(digests) == 1
    assert (await counts(gateway))["next"] == 3 * 15


async def test_a_gap_stays_open_until_it_is_filled(gateway: Gateway) -> None:
    await append(gateway, 0, 3)
    await append(gateway, 5, 8)
    assert await counts(gateway) == expected(6, links=4)
    assert [f.t_index for f in await timeline.frames(gateway, UID, 0, 10)] == [0, 1, 2, 5, 6, 7]
    await append(gateway, 3, 5)
    assert await counts(gateway) == expected(8)


async def test_earlier_frames_that_come_later_have_negative_indices(gateway: Gateway) -> None:
    await append(gateway, 100, 104)
    await append(gateway, 97, 100)
    row = await timeline.sequence(gateway, UID)
    assert (row.anchor, row.first, row.last, row.length) == (100, -3, 3, 7)
    assert await counts(gateway) == expected(7)


async def test_a_segment_that_overlaps_is_stale_and_writes_nothing(gateway: Gateway) -> None:
    await append(gateway, 0, 4)
    assert await append(gateway, 2, 6) == Stale(present=2)
    assert await counts(gateway) == expected(4)
    await ingest(gateway, 2, 6)
    assert await counts(gateway) == expected(6)


async def test_another_frame_at_the_same_step_is_a_conflict_and_writes_nothing(gateway: Gateway) -> None:
    await append(gateway, 0, 4)
    with pytest.raises(Conflict, match=r"frame at step 2 to have sha256 .* overwrite with `--replace`"):
        await append(gateway, 2, 6, variant="other")
    assert await counts(gateway) == expected(4)
    assert len(await timeline.segments(gateway, UID)) == 1


async def test_replace_overwrites_frames_and_their_links(gateway: Gateway) -> None:
    await append(gateway, 0, 4)
    hot = [frame(step, variant="hot", total_energy=500.0) for step in (2, 3, 4)]
    outcome = await sequences.append_segment(
        gateway, new_sequence(), new_segment(2, 5, variant="hot"), hot, "Simulated", replace=True
    )
    assert outcome == Appended(created=3, skipped=0)
    assert await counts(gateway) == expected(5)
    rows = await gateway.read(
        "MATCH (e:Simulated)-[n:NEXT]->() RETURN n.delta_energy AS delta ORDER BY e.t_index LIMIT 10"
    )
    assert [row["delta"] for row in rows] == pytest.approx([-1.0, 401.0, 0.0, 0.0])
    assert (await timeline.sequence(gateway, UID)).length == 5
    assert (await timeline.frames(gateway, UID, 2, 2))[0].sha256 == hot[0].sha256


async def test_a_sequence_keeps_its_shape_and_origin(gateway: Gateway) -> None:
    await append(gateway, 0, 4)
    with pytest.raises(Conflict, match="expected origin = 'Simulated'"):
        await sequences.append_segment(gateway, new_sequence(), new_segment(4, 5), builders.frames(4, 5), "Observed")


async def test_an_unknown_domain_and_frames_with_holes_are_refused(gateway: Gateway) -> None:
    await gateway.write("MATCH (d:Domain) DELETE d")
    with pytest.raises(NotFound, match="Domain"):
        await append(gateway, 0, 4)
    with pytest.raises(GraphError, match=r"consecutive steps 0 … 2 \(3\), got 0 … 2 \(2\)"):
        await sequences.append_segment(gateway, new_sequence(), new_segment(0, 3), [frame(0), frame(2)], "Simulated")
    assert (await counts(gateway))["snapshots"] == 0


async def test_calendar_time_is_kept(gateway: Gateway) -> None:
    start = datetime(2019, 3, 1, tzinfo=UTC)
    hours = [frame(step, valid_time=start + timedelta(hours=step)) for step in range(3)]
    await sequences.append_segment(gateway, new_sequence(), new_segment(0, 3), hours, "Observed")
    frames = await timeline.frames(gateway, UID, 0, 2)
    assert [f.valid_time for f in frames] == [f.valid_time for f in hours]


async def test_sixteen_writers_of_overlapping_files_make_one_ingest(gateway: Gateway) -> None:
    """Files of 12 frames that overlap by half, some of them twice, in any order and at once."""
    files = [(start, start + 12) for start in range(0, 84, 6)]
    files += files[:2]
    random.Random(7).shuffle(files)
    assert len(files) == 16
    await asyncio.gather(*(ingest(gateway, first, stop) for first, stop in files))

    assert await counts(gateway) == expected(90)
    row = await timeline.sequence(gateway, UID)
    assert (row.length, row.last - row.first) == (90, 89)
    segments = await timeline.segments(gateway, UID)
    assert sum(segment.length for segment in segments) == 90  # none of the files overlaps another
    frames = await timeline.frames(gateway, UID, row.first, row.last)
    assert [f.sha256 for f in frames] == [builders.sha(step, "") for step in range(90)]


async def test_an_ingest_that_died_between_segments_goes_on(gateway: Gateway) -> None:
    class Killed(Exception):
        pass

    async def killed_after(segments: int) -> None:
        for number, first in enumerate(range(0, 20, 5)):
            if number == segments:
                raise Killed
            await append(gateway, first, first + 5)

    with pytest.raises(Killed):
        await killed_after(2)
    assert await counts(gateway) == expected(10)
    await ingest(gateway, 0, 20)
    assert await counts(gateway) == expected(20)


async def test_a_domain_may_be_described_anew_but_not_redefined(gateway: Gateway) -> None:
    await sequences.upsert_domain(gateway, builders.DOMAIN | {"title": "Hot plasma"})
    (row,) = await gateway.read("MATCH (d:Domain) RETURN d.title AS title")
    assert row["title"] == "Hot plasma"
    with pytest.raises(Conflict, match="closed = True as in the graph, got False"):
        await sequences.upsert_domain(gateway, builders.DOMAIN | {"closed": False})


def test_steps_fall_into_stretches_without_gaps() -> None:
    assert sequences.stretches([5, 1, 2, 3, 9, 8, 3]) == [range(1, 4), range(5, 6), range(8, 10)]
    assert sequences.stretches([]) == []


def test_missing_frames_are_those_not_there_or_to_be_replaced() -> None:
    assert sequences.missing([(1, "a"), (2, "b"), (3, "c")], {2: "b"}) == [1, 3]
    assert sequences.missing([(1, "a"), (2, "b")], {1: "a", 2: "x"}, replace=True) == [2]
