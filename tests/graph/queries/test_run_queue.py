"""The queue's order: priority, then readiness; back-off holds a run back, and who is passed over goes elsewhere."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graph.errors import GraphError
from graph.gateway import Gateway
from graph.queries import run_queue, runs
from graph.queries.runs import RunRow
from tests.graph.queries.builders import started, submit

pytestmark = pytest.mark.db

EXPIRE = "MATCH (r:Run {uid: $uid}) SET r.lease_until = datetime() - duration('PT1S')"
READY = "MATCH (r:Run {uid: $uid}) SET r.not_before = datetime()"


async def claimed(gateway: Gateway, limit: int = 10, only: str | None = None) -> list[RunRow]:
    return await runs.claim(gateway, capability="batch", worker="w", lease_seconds=60, limit=limit, only=only)


async def test_higher_priorities_go_first_and_equals_in_their_order(gateway: Gateway) -> None:
    rows = [await submit(gateway, priority=priority) for priority in (0, -5, 7, 0, 7)]
    assert [row.priority for row in rows] == [0, -5, 7, 0, 7]
    got = await claimed(gateway)
    assert [row.uid for row in got] == [rows[at].uid for at in (2, 4, 0, 3, 1)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"priority": 101},
        {"priority": True},
        {"priority": 1.5},
        {"time_limit": 0},
        {"time_limit": float("nan")},
        {"time_limit": float("inf")},
        {"time_limit": -1.0},
    ],
)
async def test_what_no_run_can_have_is_refused(gateway: Gateway, wrong: dict[str, Any]) -> None:
    with pytest.raises(GraphError) as caught:
        await submit(gateway, **wrong)
    assert caught.value.code == "BAD_RUN"
    assert await runs.list_runs(gateway) == []


async def test_a_run_that_waits_for_its_next_attempt_is_not_claimed(gateway: Gateway) -> None:
    first = await started(gateway, priority=50)
    await runs.transition(gateway, first.uid, "RUNNING", "QUEUED", first.lease.token, delay=60.0)
    waiting = await runs.run(gateway, first.uid)
    assert waiting.not_before is not None
    assert 55 < (waiting.not_before - waiting.created_at).total_seconds() < 65
    later = await submit(gateway)
    assert [row.uid for row in await claimed(gateway)] == [later.uid]
    assert await claimed(gateway, only=first.uid) == []
    await gateway.write(READY, uid=first.uid)
    (again,) = await claimed(gateway)
    assert (again.uid, again.attempt, again.priority) == (first.uid, 2, 50)


async def test_the_first_lost_worker_costs_no_wait_and_the_second_does(gateway: Gateway) -> None:
    row = await started(gateway)
    waits = []
    for _ in range(2):
        await gateway.write(EXPIRE, uid=row.uid)
        assert await runs.reap(gateway, max_attempts=3) == 1
        (found,) = await gateway.read(
            "MATCH (r:Run) RETURN duration.inSeconds(r.touched_at, r.not_before).milliseconds AS wait"
        )
        waits.append(found["wait"] / 1000)
        await gateway.write(READY, uid=row.uid)
        await claimed(gateway)
    assert abs(waits[0]) < 0.5
    assert 0.9 < waits[1] < 2.1


async def test_what_was_handed_back_is_not_counted_among_the_losses(gateway: Gateway) -> None:
    row = await started(gateway)
    for _ in range(4):
        await runs.transition(gateway, row.uid, "RUNNING", "QUEUED", row.lease_token)
        row = await again(gateway)
    assert (row.attempt, row.losses) == (5, 0)
    for lost in (1, 2):
        await gateway.write("MATCH (r:Run) SET r.lease_until = datetime() - duration('PT1S')")
        await runs.reap(gateway, max_attempts=3)
        row = await again(gateway)
        assert (row.attempt, row.losses) == (5 + lost, lost)
    await gateway.write("MATCH (r:Run) SET r.lease_until = datetime() - duration('PT1S')")
    await runs.reap(gateway, max_attempts=3)
    row = await runs.run(gateway, row.uid)
    assert (row.state, row.error_code) == ("FAILED", "LEASE_EXPIRED")
    assert row.error_message == "expected a worker that outlasts the run, got 3 attempts that were lost."


async def again(gateway: Gateway) -> RunRow:
    """The one run, in work once more without a wait."""
    await gateway.write("MATCH (r:Run) SET r.not_before = datetime()")
    (row,) = await runs.claim(gateway, capability="batch", worker="w", lease_seconds=60)
    running = await runs.transition(gateway, row.uid, "LEASED", "RUNNING", row.lease_token)
    assert running is not None
    return running


async def test_whoever_is_passed_over_goes_elsewhere_but_never_below_a_priority(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    high = [await submit(gateway, priority=9) for _ in range(8)]
    low = [await submit(gateway) for _ in range(4)]
    moved = run_queue.move
    tried: list[str] = []

    async def lose_the_first(gateway: Gateway, uid: str, *args: Any, **options: Any) -> RunRow | None:
        tried.append(uid)
        return None if len(tried) == 1 else await moved(gateway, uid, *args, **options)

    seconds = set()
    for seed in range(6):
        tried.clear()
        monkeypatch.setattr(run_queue, "move", lose_the_first)
        run_queue.random.seed(seed)
        (got,) = await claimed(gateway, limit=1)
        assert tried[0] == high[0].uid
        seconds.add(got.uid)
        monkeypatch.undo()
        await runs.transition(gateway, got.uid, "LEASED", "QUEUED", got.lease_token)
        # as it was: handed back, it has been ready for no longer than the others
        await gateway.write("MATCH (r:Run {uid: $uid}) SET r.not_before = r.created_at", uid=got.uid)
    assert len(seconds) > 2
    assert not seconds & {row.uid for row in low}


async def test_claimers_at_once_each_get_a_run_of_the_highest_priority(gateway: Gateway) -> None:
    high = {(await submit(gateway, priority=1)).uid for _ in range(12)}
    for _ in range(4):
        await submit(gateway)
    got = await asyncio.gather(*(claimed(gateway, limit=1) for _ in range(8)))
    uids = [row.uid for rows in got for row in rows]
    assert len(uids) == len(set(uids)) == 8
    assert set(uids) <= high


async def test_a_claim_reads_the_index_in_its_order(gateway: Gateway) -> None:
    for _ in range(300):
        await submit(gateway)
    await gateway.execute_schema("CALL db.prepareForReplanning()")
    async with gateway.driver.session(database=gateway.database) as session:
        result = await session.run("PROFILE " + run_queue._CANDIDATES, capability="batch", limit=10)  # type: ignore[arg-type]
        summary = await result.consume()
    plan = summary.profile
    operators, rows = [], []
    while plan is not None:
        operators.append(plan["operatorType"].partition("@")[0])
        rows.append(plan.get("rows", 0))
        plan = next(iter(plan.get("children", [])), None)
    assert operators[-1] == "NodeIndexSeek"
    assert not any("Sort" in name or "Top" in name for name in operators)
    assert max(rows) <= 20  # it stops at the limit
