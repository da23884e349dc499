"""Children are part of who asked for them: listed, claimed with their parent, and cancelled with the last of them."""

from __future__ import annotations

import asyncio

import pytest

from graph.errors import GraphError, NotFound
from graph.gateway import Gateway
from graph.queries import run_family, run_moves, runs
from tests.graph.queries.builders import started, submit

pytestmark = pytest.mark.db


async def states(gateway: Gateway, *uids: str) -> list[str]:
    rows = [await runs.run(gateway, uid) for uid in uids]
    return [f"{row.state}{' to stop' * row.cancel_requested}" for row in rows]


async def test_a_parent_shows_its_children_in_order(gateway: Gateway) -> None:
    parent = await started(gateway, kind="ace", capability="orchestration")
    made = [await submit(gateway, parent=parent.uid) for _ in range(3)]
    assert [child.uid for child in await runs.children(gateway, parent.uid)] == [child.uid for child in made]
    assert {child.parent for child in made} == {parent.uid}
    assert parent.parent is None
    assert await runs.children(gateway, made[0].uid) == []


async def test_a_parent_must_be_there_and_go_on(gateway: Gateway) -> None:
    with pytest.raises(NotFound, match="Run"):
        await submit(gateway, parent="nowhere")
    parent = await started(gateway)
    await runs.request_cancel(gateway, parent.uid)
    ended = await started(gateway)
    await runs.transition(gateway, ended.uid, "RUNNING", "SUCCEEDED", ended.lease.token)
    for uid in (parent.uid, ended.uid):
        with pytest.raises(GraphError) as caught:
            await submit(gateway, parent=uid)
        assert caught.value.code == "PARENT_ENDED"
    assert len(await runs.list_runs(gateway)) == 2


async def test_a_child_made_twice_is_one_and_a_second_parent_has_it_too(gateway: Gateway) -> None:
    first, second = [await started(gateway) for _ in range(2)]
    rows = await asyncio.gather(*(submit(gateway, parent=first.uid, dedup_key="shadows") for _ in range(4)))
    assert len({row.uid for row in rows}) == 1
    again = await submit(gateway, parent=second.uid, dedup_key="shadows")
    assert (again.uid, again.parent) == (rows[0].uid, first.uid)
    for parent in (first, second):
        assert [child.uid for child in await runs.children(gateway, parent.uid)] == [again.uid]


async def test_no_run_becomes_part_of_its_own_child(gateway: Gateway) -> None:
    parent = await started(gateway, dedup_key="k")
    child = await submit(gateway, parent=parent.uid)
    await submit(gateway, parent=child.uid, dedup_key="k")
    assert await runs.children(gateway, child.uid) == []
    assert (await runs.run(gateway, parent.uid)).parent is None


async def test_a_worker_of_one_run_takes_its_descendants_and_no_others(gateway: Gateway) -> None:
    parent = await started(gateway, kind="ace", capability="orchestration")
    child = await submit(gateway, parent=parent.uid)
    grandchild = await submit(gateway, parent=child.uid, priority=3)
    await submit(gateway)
    await submit(gateway, parent=parent.uid, capability="interactive")
    got = await runs.claim(gateway, capability="batch", worker="w", lease_seconds=60, limit=9, only=parent.uid)
    assert [row.uid for row in got] == [grandchild.uid, child.uid]


async def test_a_cancellation_goes_down_to_all_descendants(gateway: Gateway) -> None:
    parent = await started(gateway)
    running = await started(gateway, parent=parent.uid)
    waiting = await submit(gateway, parent=parent.uid)
    below = await submit(gateway, parent=running.uid)
    done = await started(gateway, parent=parent.uid)
    await runs.transition(gateway, done.uid, "RUNNING", "SUCCEEDED", done.lease.token)
    stranger = await submit(gateway)
    await runs.request_cancel(gateway, parent.uid)
    assert await states(gateway, parent.uid, running.uid, waiting.uid, below.uid, done.uid, stranger.uid) == [
        "RUNNING to stop", "RUNNING to stop", "CANCELLED", "CANCELLED", "SUCCEEDED", "QUEUED"
    ]  # fmt: skip


@pytest.mark.parametrize("end", ["FAILED", "CANCELLED", "SUCCEEDED"])
async def test_what_is_left_of_a_run_that_ended_is_cancelled_unless_it_succeeded(gateway: Gateway, end: str) -> None:
    parent = await started(gateway)
    child = await submit(gateway, parent=parent.uid)
    await runs.transition(gateway, parent.uid, "RUNNING", end, parent.lease.token)
    assert await states(gateway, child.uid) == ["QUEUED" if end == "SUCCEEDED" else "CANCELLED"]


async def test_a_lost_parent_takes_its_children_along_when_it_has_failed(gateway: Gateway) -> None:
    parent = await started(gateway)
    child = await submit(gateway, parent=parent.uid)
    await gateway.write("MATCH (r:Run {uid: $uid}) SET r.lease_until = datetime() - duration('PT1S')", uid=parent.uid)
    await runs.reap(gateway, max_attempts=2)
    assert await states(gateway, parent.uid, child.uid) == ["QUEUED", "QUEUED"]  # it goes on with the next worker
    await runs.request_cancel(gateway, parent.uid)
    assert await states(gateway, parent.uid, child.uid) == ["CANCELLED", "CANCELLED"]


async def test_a_child_whose_parent_ended_with_its_process_is_told_to_stop(gateway: Gateway) -> None:
    """Whoever wrote the parent's end was killed before it could cancel the children."""
    failed, other = [await started(gateway) for _ in range(2)]
    child = await started(gateway, parent=failed.uid, dedup_key="k")
    stranger = await started(gateway)

    async def to_stop(row: runs.RunRow) -> bool:
        beat = await runs.heartbeat(gateway, row.uid, row.lease.token, 60.0)
        assert beat is not None
        return beat.cancel_requested

    assert [await to_stop(child), await to_stop(stranger)] == [False, False]
    await submit(gateway, parent=other.uid, dedup_key="k")
    await run_moves.move(gateway, failed.uid, "RUNNING", "FAILED", failed.lease_token, fields={})
    assert not await to_stop(child)
    await run_moves.move(gateway, other.uid, "RUNNING", "SUCCEEDED", other.lease_token, fields={})
    assert [await to_stop(child), await to_stop(stranger)] == [True, False]


async def test_a_child_that_another_parent_needs_goes_on_until_the_last_is_cancelled(gateway: Gateway) -> None:
    first, second = [await started(gateway) for _ in range(2)]
    child = await submit(gateway, parent=first.uid, dedup_key="k")
    await submit(gateway, parent=second.uid, dedup_key="k")
    await runs.request_cancel(gateway, first.uid)
    assert await states(gateway, child.uid) == ["QUEUED"]
    await runs.request_cancel(gateway, second.uid)
    assert await states(gateway, child.uid) == ["CANCELLED"]


async def test_no_child_comes_after_the_children_were_cancelled(gateway: Gateway) -> None:
    for _ in range(5):
        parent = await started(gateway)
        made, _ = await asyncio.gather(
            asyncio.gather(*(submit(gateway, parent=parent.uid) for _ in range(3)), return_exceptions=True),
            runs.request_cancel(gateway, parent.uid),
        )
        assert all(isinstance(one, runs.RunRow | GraphError) for one in made)
        assert {child.state for child in await run_family.children(gateway, parent.uid)} <= {"CANCELLED"}
