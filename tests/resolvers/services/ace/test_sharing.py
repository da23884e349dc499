"""One training for several experiments: one pays for it, and none stops it for the others."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from graph.queries import runs
from graph.queries.runs import RunRow
from resolvers.energy.budget import Account, BudgetGone, parse
from resolvers.energy.spent import ESTIMATED
from resolvers.services.ace import executing
from resolvers.services.ace.composing import TRAIN
from resolvers.services.ace.inquiry import own_children
from resolvers.services.ace.scheduling import Work
from resolvers.services.context import Services
from resolvers.services.shadows import members_folder
from resolvers.task import Task
from tests.resolvers.working import leased

pytestmark = pytest.mark.db

TRAINING = Work(
    name=TRAIN, kind="shadows", capability="batch", config={"task": "train"}, rng_seed=0, inputs=(), joules=10.0
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executing, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(executing, "METER_SECONDS", 0.0)


async def experiment(services: Services, budget: str = "5kJ", *, elapsed: float = 0.0) -> Any:
    """An experiment that has come as far as its works."""
    row = await runs.submit(
        services.gateway, kind="ace", config={}, capability="orchestration", dedup_key=None, rng_seed=0, inputs=[]
    )
    run = await leased(services, row, lease_seconds=600.0)
    account = Account(parse(budget), elapsed=elapsed)
    return SimpleNamespace(services=services, run=run, round=1, task=Task(services.gateway, run), account=account)


async def asked(inquiry: Any) -> tuple[asyncio.Task[RunRow], RunRow]:
    """What waits for the training, and the training."""
    waiting = asyncio.create_task(executing._done(inquiry, TRAINING, 0, 1))
    while not (found := await runs.children(inquiry.services.gateway, inquiry.run.uid)):
        assert not waiting.done() or waiting.result()
        await asyncio.sleep(0.02)
    return waiting, found[-1]


async def trained(services: Services, row: RunRow, *, files: bool = True) -> None:
    running = row if row.state == "RUNNING" else await leased(services, row, lease_seconds=600.0)
    if files:
        members_folder(services.store, row.uid).mkdir(parents=True)
    took = {"energy_joules": 700.0, "energy_source": ESTIMATED}
    assert await runs.transition(services.gateway, row.uid, "RUNNING", "SUCCEEDED", running.lease_token, **took)


async def payers(services: Services, *inquiries: Any) -> list[list[str]]:
    return [[one.uid for one in await own_children(services, inquiry.run)] for inquiry in inquiries]


async def test_who_had_it_made_pays_whatever_came_first(services: Services) -> None:
    first, second = await experiment(services), await experiment(services)
    # the younger experiment is the first to ask
    waiting, child = await asked(second)
    other, found = await asked(first)
    assert found.uid == child.uid
    assert child.uid > max(first.run.uid, second.run.uid)
    await trained(services, child)
    assert (await waiting).uid == (await other).uid == child.uid
    assert await payers(services, first, second) == [[], [child.uid]]


@pytest.mark.parametrize(("budget", "elapsed"), [("500J", 0.0), ("90s", 88.0)])
async def test_who_can_pay_no_more_leaves_it_to_the_next(services: Services, budget: str, elapsed: float) -> None:
    poor, rich = await experiment(services, budget, elapsed=elapsed), await experiment(services)
    waiting, child = await asked(poor)
    other, _ = await asked(rich)
    assert child.time_limit is None
    running = await leased(services, child, lease_seconds=600.0)
    await runs.heartbeat(services.gateway, child.uid, running.lease.token, 600.0, joules=600.0, source=ESTIMATED)
    with pytest.raises(BudgetGone, match="expected to train shadows within"):
        await asyncio.wait_for(waiting, 10.0)
    beat = await runs.heartbeat(services.gateway, child.uid, running.lease.token, 600.0)
    assert beat is not None
    assert beat.cancel_requested is False
    assert await payers(services, poor, rich) == [[], [child.uid]]
    await trained(services, running)
    assert (await other).state == "SUCCEEDED"


async def test_where_nobody_else_waits_it_is_stopped(services: Services) -> None:
    poor, gone = await experiment(services, "500J"), await experiment(services)
    waiting, child = await asked(poor)
    other, _ = await asked(gone)
    await runs.request_cancel(services.gateway, gone.run.uid)
    other.cancel()
    running = await leased(services, child, lease_seconds=600.0)
    await runs.heartbeat(services.gateway, child.uid, running.lease.token, 600.0, joules=600.0, source=ESTIMATED)
    for _ in range(200):
        beat = await runs.heartbeat(services.gateway, child.uid, running.lease.token, 600.0)
        if beat is not None and beat.cancel_requested:
            break
        await asyncio.sleep(0.02)
    await runs.transition(services.gateway, child.uid, "RUNNING", "CANCELLED", running.lease_token)
    assert (await waiting).state == "CANCELLED"
    assert await payers(services, poor) == [[child.uid]], "what it took is charged"


async def test_what_was_cancelled_for_another_is_asked_for_again(services: Services) -> None:
    first, second = await experiment(services), await experiment(services)
    waiting, child = await asked(first)
    other, _ = await asked(second)
    await runs.request_cancel(services.gateway, child.uid)
    assert (await waiting).state == "CANCELLED"
    while len(found := await runs.children(services.gateway, second.run.uid)) < 2:
        assert not other.done()
        await asyncio.sleep(0.02)
    await trained(services, found[-1])
    assert (await other).uid == found[-1].uid
    assert await payers(services, first, second) == [[child.uid], [found[-1].uid]]


async def test_members_whose_files_are_gone_are_trained_again_and_once(services: Services) -> None:
    first, second = await experiment(services), await experiment(services)
    waiting, child = await asked(first)
    await trained(services, child, files=False)
    await waiting
    # as one that was killed and another that has taken over
    tries = [asyncio.create_task(executing._done(second, TRAINING, 0, 1)) for _ in range(2)]
    while len(found := await runs.children(services.gateway, second.run.uid)) < 2:
        assert not any(one.done() for one in tries)
        await asyncio.sleep(0.02)
    await trained(services, found[-1])
    assert {(await one).uid for one in tries} == {found[-1].uid}
    assert await payers(services, second) == [[found[-1].uid]]
