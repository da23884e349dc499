"""Runs: each claimed once, moved only along the table, fenced by the lease, never lost."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Any

import pytest
from neo4j import AsyncManagedTransaction

from graph.errors import GraphError, NotFound
from graph.gateway import Gateway
from graph.queries import runs, sequences
from graph.queries.leases import Lease, LeaseLost, fence
from graph.queries.runs import TERMINAL_STATES, TRANSITIONS
from tests.graph.queries import builders
from tests.graph.queries.builders import started, submit

pytestmark = pytest.mark.db

EXPIRE = "MATCH (r:Run {uid: $uid}) SET r.lease_until = datetime() - duration('PT1S')"
FORCE_STATE = "MATCH (r:Run {uid: $uid}) SET r.state = $state, r.lease_token = $token"


async def test_a_submitted_run_waits_with_its_inputs(gateway: Gateway) -> None:
    await sequences.upsert_domain(gateway, builders.DOMAIN)
    await builders.append(gateway, 0, 2)
    row = await submit(
        gateway, config={"lr": 1e-3, "epochs": 2}, inputs=[(builders.new_sequence().uid, "data"), ("plasma", "domain")]
    )
    assert (row.state, row.attempt, row.seq, row.progress, row.lease_token) == ("QUEUED", 1, 1, 0.0, None)
    assert row.config == {"lr": 1e-3, "epochs": 2}
    assert await runs.run(gateway, row.uid) == row
    links = await gateway.read("MATCH (:TrainingRun)-[u:USED]->(n) RETURN u.role AS role, labels(n) AS labels")
    assert {link["role"]: link["labels"] for link in links} == {"data": ["Sequence"], "domain": ["Domain"]}


async def test_an_input_that_is_not_there_leaves_no_run(gateway: Gateway) -> None:
    with pytest.raises(NotFound, match="'nowhere'"):
        await submit(gateway, inputs=[("nowhere", "split")])
    assert await runs.list_runs(gateway) == []


@pytest.mark.parametrize("wrong", [{"kind": "guess"}, {"capability": "fast"}])
async def test_unknown_kinds_and_capabilities_are_refused(gateway: Gateway, wrong: dict[str, str]) -> None:
    with pytest.raises(GraphError, match="expected one of"):
        await submit(gateway, **wrong)


async def test_the_same_work_is_one_run_even_when_many_ask(gateway: Gateway) -> None:
    rows = await asyncio.gather(*(submit(gateway, dedup_key="k") for _ in range(12)))
    assert len({row.uid for row in rows}) == 1
    assert len(await runs.list_runs(gateway)) == 1


async def test_forced_failed_and_cancelled_runs_do_not_stand_for_the_work(gateway: Gateway) -> None:
    first = await submit(gateway, dedup_key="k")
    forced = await submit(gateway, dedup_key="k", force=True)
    assert forced.uid != first.uid
    assert forced.dedup_key is None
    assert (await runs.request_cancel(gateway, first.uid)).dedup_key is None
    second = await started(gateway, dedup_key="k")
    assert second.uid not in {first.uid, forced.uid}
    failed = await runs.transition(gateway, second.uid, "RUNNING", "FAILED", second.lease_token, error_code="NAN")
    assert failed is not None
    assert (failed.dedup_key, failed.error_code) == (None, "NAN")
    third = await started(gateway, dedup_key="k")
    await runs.transition(gateway, third.uid, "RUNNING", "SUCCEEDED", third.lease_token)
    assert (await submit(gateway, dedup_key="k")).uid == third.uid


async def test_a_run_that_is_to_stop_does_not_stand_for_the_work(gateway: Gateway) -> None:
    dying = await started(gateway, dedup_key="work")
    await runs.request_cancel(gateway, dying.uid)
    again = await submit(gateway, dedup_key="work")
    assert again.uid != dying.uid
    assert (again.state, again.cancel_requested) == ("QUEUED", False)
    await runs.transition(gateway, dying.uid, "RUNNING", "CANCELLED", dying.lease_token)
    assert (await submit(gateway, dedup_key="work")).uid == again.uid


async def test_eight_workers_claim_sixty_runs_each_exactly_once(gateway: Gateway) -> None:
    submitted = [await submit(gateway) for _ in range(60)]
    claimed: Counter[str] = Counter()

    async def work(name: str) -> None:
        while got := await runs.claim(gateway, capability="batch", worker=name, lease_seconds=60):
            for row in got:
                assert (row.state, row.worker) == ("LEASED", name)
                claimed[row.uid] += 1

    await asyncio.gather(*(work(f"w{n}") for n in range(8)))
    assert claimed == Counter(row.uid for row in submitted)


async def test_claims_take_the_oldest_of_their_capability(gateway: Gateway) -> None:
    rows = [await submit(gateway, capability=name) for name in ("batch", "interactive", "batch", "batch")]
    got = await runs.claim(gateway, capability="batch", worker="w", lease_seconds=60, limit=2)
    assert [row.uid for row in got] == [rows[0].uid, rows[2].uid]
    only = await runs.claim(gateway, capability="interactive", worker="w", lease_seconds=60, only=rows[3].uid)
    assert only == []


@pytest.mark.parametrize(("from_", "to"), list(itertools.product(TRANSITIONS, TRANSITIONS)))
async def test_a_run_moves_along_the_table_and_no_other_way(gateway: Gateway, from_: str, to: str) -> None:
    row = await submit(gateway)
    token = None if from_ == "QUEUED" or from_ in TERMINAL_STATES else "token"
    await gateway.write(FORCE_STATE, uid=row.uid, state=from_, token=token)
    if to not in TRANSITIONS[from_] or to == "LEASED":  # which is entered by `claim` only: it hands out the token
        with pytest.raises(GraphError, match=f"after {from_}, got {to}"):
            await runs.transition(gateway, row.uid, from_, to, token)
        assert (await runs.run(gateway, row.uid)).state == from_
        return
    if token is not None:
        assert await runs.transition(gateway, row.uid, from_, to, "another's") is None
    moved = await runs.transition(gateway, row.uid, from_, to, token, message="on")
    assert moved is not None
    assert (moved.state, moved.message, moved.seq) == (to, "on", 2)
    assert (moved.finished_at is not None) == (to in TERMINAL_STATES)
    assert (moved.lease_token is not None) == (to in {"LEASED", "RUNNING"})
    assert moved.attempt == (2 if to == "QUEUED" else 1)
    assert await runs.transition(gateway, row.uid, from_, to, token) is None  # the second mover lost


async def test_one_of_many_finishers_wins(gateway: Gateway) -> None:
    row = await started(gateway)
    outcomes = await asyncio.gather(
        *(
            runs.transition(gateway, row.uid, "RUNNING", state, row.lease_token)
            for state in ("SUCCEEDED", "FAILED", "CANCELLED") * 4
        )
    )
    winners = [outcome for outcome in outcomes if outcome is not None]
    assert len(winners) == 1
    assert (await runs.run(gateway, row.uid)).state == winners[0].state


async def test_fields_that_would_forge_the_state_are_refused(gateway: Gateway) -> None:
    row = await started(gateway)
    with pytest.raises(GraphError, match="got attempt"):
        await runs.transition(gateway, row.uid, "RUNNING", "SUCCEEDED", row.lease_token, attempt=7)


async def test_signs_of_life_renew_the_lease_and_carry_the_wish_to_cancel(gateway: Gateway) -> None:
    row = await started(gateway)
    assert row.lease_token is not None
    assert row.lease_until is not None
    beat = await runs.heartbeat(gateway, row.uid, row.lease_token, 600)
    assert beat is not None
    assert not beat.cancel_requested
    assert (beat.lease_until - row.lease_until).total_seconds() > 500
    assert (await runs.request_cancel(gateway, row.uid)).state == "RUNNING"
    told = await runs.report(gateway, row.uid, row.lease_token, 0.5, "epoch 2")
    assert told is not None
    assert told.cancel_requested
    (seen,) = await runs.watch(gateway, [row.uid, "unknown"])
    assert (seen.progress, seen.message) == (0.5, "epoch 2")
    assert seen.seq == told.seq > beat.seq
    assert await runs.heartbeat(gateway, row.uid, "another's", 600) is None
    assert await runs.report(gateway, row.uid, "another's", 0.9, "") is None


async def test_an_expired_lease_is_reaped_and_its_holder_fenced(gateway: Gateway) -> None:
    row = await started(gateway)
    lease = row.lease
    assert await runs.reap(gateway, max_attempts=3) == 0
    await gateway.write(EXPIRE, uid=row.uid)
    assert await runs.reap(gateway, max_attempts=3) == 1

    back = await runs.run(gateway, row.uid)
    assert (back.state, back.attempt, back.lease_token) == ("QUEUED", 2, None)
    assert await runs.heartbeat(gateway, lease.run, lease.token, 60) is None
    with pytest.raises(LeaseLost):
        await gateway.transact(lambda tx: fence(tx, lease))
    (again,) = await runs.claim(gateway, capability="batch", worker="next", lease_seconds=60)
    assert again.attempt == 2
    assert again.lease != lease
    await gateway.transact(lambda tx: fence(tx, again.lease))


async def test_after_the_last_attempt_a_lost_run_has_failed(gateway: Gateway) -> None:
    row = await submit(gateway, dedup_key="k")
    for _ in range(3):
        await gateway.write("MATCH (r:Run) SET r.not_before = datetime()")
        await runs.claim(gateway, capability="batch", worker="w", lease_seconds=60)
        await gateway.write(EXPIRE, uid=row.uid)
        assert await runs.reap(gateway, max_attempts=3) == 1
    failed = await runs.run(gateway, row.uid)
    assert (failed.state, failed.attempt, failed.error_code, failed.dedup_key) == ("FAILED", 3, "LEASE_EXPIRED", None)


async def test_reapers_at_once_count_one_attempt(gateway: Gateway) -> None:
    row = await started(gateway)
    await gateway.write(EXPIRE, uid=row.uid)
    assert sum(await asyncio.gather(*(runs.reap(gateway, max_attempts=3) for _ in range(6)))) == 1
    assert (await runs.run(gateway, row.uid)).attempt == 2


async def test_a_lease_that_is_renewed_while_it_is_reaped_holds(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await started(gateway)
    await gateway.write(EXPIRE, uid=row.uid)
    look = gateway.read

    async def look_and_be_late(query: Any, /, **parameters: Any) -> list[dict[str, Any]]:
        rows = await look(query, **parameters)
        assert await runs.heartbeat(gateway, row.uid, row.lease.token, 60) is not None
        return rows

    monkeypatch.setattr(gateway, "read", look_and_be_late)
    assert await runs.reap(gateway, max_attempts=3) == 0
    monkeypatch.undo()
    assert (await runs.run(gateway, row.uid)).lease == row.lease


async def test_who_has_passed_the_fence_commits_before_the_run_moves(gateway: Gateway) -> None:
    row = await started(gateway)
    order: list[str] = []
    passed = asyncio.Event()

    async def work(tx: AsyncManagedTransaction) -> None:
        await fence(tx, row.lease)
        passed.set()
        await asyncio.sleep(0.3)
        order.append("written")

    async def reaper() -> None:
        await passed.wait()
        await runs.transition(gateway, row.uid, "RUNNING", "QUEUED", row.lease.token)
        order.append("moved")

    await asyncio.gather(gateway.transact(work), reaper())
    assert order == ["written", "moved"]


async def test_a_second_attempt_keeps_the_time_of_the_first(gateway: Gateway) -> None:
    first = await started(gateway)
    await runs.transition(gateway, first.uid, "RUNNING", "QUEUED", first.lease.token)
    (claimed,) = await runs.claim(gateway, capability=first.capability, worker="next", lease_seconds=60)
    second = await runs.transition(gateway, first.uid, "LEASED", "RUNNING", claimed.lease_token)
    assert second is not None
    assert second.started_at == first.started_at


async def test_a_lost_run_that_was_to_be_cancelled_is(gateway: Gateway) -> None:
    row = await started(gateway)
    await runs.request_cancel(gateway, row.uid)
    await gateway.write(EXPIRE, uid=row.uid)
    await runs.reap(gateway, max_attempts=3)
    assert (await runs.run(gateway, row.uid)).state == "CANCELLED"


async def test_cancelling_what_waits_or_has_ended(gateway: Gateway) -> None:
    waiting = await submit(gateway)
    assert (await runs.request_cancel(gateway, waiting.uid)).state == "CANCELLED"
    assert await runs.claim(gateway, capability="batch", worker="w", lease_seconds=60) == []
    done = await started(gateway)
    await runs.transition(gateway, done.uid, "RUNNING", "SUCCEEDED", done.lease_token)
    assert (await runs.request_cancel(gateway, done.uid)).state == "SUCCEEDED"
    with pytest.raises(NotFound, match="Run"):
        await runs.request_cancel(gateway, "nowhere")


async def test_a_claim_and_a_cancellation_at_once_agree(gateway: Gateway) -> None:
    for _ in range(10):
        row = await submit(gateway)
        claimed, cancelled = await asyncio.gather(
            runs.claim(gateway, capability="batch", worker="w", lease_seconds=60), runs.request_cancel(gateway, row.uid)
        )
        if claimed:
            assert (cancelled.state, cancelled.cancel_requested) == ("LEASED", True)
        else:
            assert cancelled.state == "CANCELLED"


async def test_runs_are_listed_newest_first_in_pages(gateway: Gateway) -> None:
    rows = [await submit(gateway, kind=kind) for kind in ("training", "evaluation", "training", "training")]
    newest = [row.uid for row in reversed(rows)]
    page = await runs.list_runs(gateway, limit=3)
    assert [row.uid for row in page] == newest[:3]
    assert [row.uid for row in await runs.list_runs(gateway, after=page[-1].uid)] == newest[3:]
    assert [row.uid for row in await runs.list_runs(gateway, kind="evaluation", state="QUEUED")] == [rows[1].uid]
    assert await runs.list_runs(gateway, state="RUNNING") == []


async def test_only_a_leased_run_has_a_lease(gateway: Gateway) -> None:
    with pytest.raises(GraphError, match="expected a leased run"):
        _ = (await submit(gateway)).lease
    assert isinstance((await started(gateway)).lease, Lease)
