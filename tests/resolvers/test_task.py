"""A task reports at 2 Hz at most, and is told of a cancellation or a lost lease where it reports."""

from __future__ import annotations

import asyncio
import time

import pytest

from graph.queries import runs
from graph.queries.runs import RunRow
from resolvers.services.context import Services
from resolvers.task import REPORT_SECONDS, Cancelled, LeaseLost, Task
from tests.resolvers.working import leased

pytestmark = pytest.mark.db


async def _running(services: Services, lease_seconds: float = 30.0) -> RunRow:
    run = await runs.submit(
        services.gateway, kind="training", config={}, capability="batch", dedup_key=None, rng_seed=0, inputs=[]
    )
    return await leased(services, run, lease_seconds=lease_seconds)


async def test_reports_are_throttled(services: Services) -> None:
    run = await _running(services)
    task = Task(services.gateway, run)
    began = time.monotonic()
    for percent in range(100):
        await task.report(percent / 100, f"{percent} %")
    allowed = 1 + (time.monotonic() - began) // REPORT_SECONDS
    assert 1 <= (await runs.run(services.gateway, run.uid)).seq - run.seq <= allowed < 100


async def test_progress_stays_within_its_bounds(services: Services) -> None:
    run = await _running(services)
    await Task(services.gateway, run).report(1.7, "beyond")
    assert (await runs.run(services.gateway, run.uid)).progress == 1.0


async def test_a_cancelled_run_stops_at_its_report(services: Services) -> None:
    run = await _running(services)
    task = Task(services.gateway, run)
    await runs.request_cancel(services.gateway, run.uid)
    with pytest.raises(Cancelled):
        await task.report(0.5, "half")
    with pytest.raises(Cancelled):
        task.check()


async def test_a_lost_lease_stops_the_run_and_fences_it(services: Services) -> None:
    run = await _running(services, lease_seconds=0.05)
    await asyncio.sleep(0.1)
    assert await runs.reap(services.gateway, max_attempts=3) == 1
    task = Task(services.gateway, run)
    task.cancel()
    task.lose()
    with pytest.raises(LeaseLost):  # which outweighs the cancellation
        task.check()
    with pytest.raises(LeaseLost):
        await Task(services.gateway, run).report(0.9, "nearly there")
    again = await runs.run(services.gateway, run.uid)
    assert (again.state, again.attempt, again.progress) == ("QUEUED", 2, 0.0)


async def test_a_thread_can_report(services: Services) -> None:
    run = await _running(services)
    task = Task(services.gateway, run)
    await task.compute(task.tell, 0.25, "from a thread")
    assert (await runs.run(services.gateway, run.uid)).message == "from a thread"
    task.cancel()
    with pytest.raises(Cancelled):
        await task.compute(task.tell, 0.5, "too late")


async def test_advance_ends_with_none(services: Services) -> None:
    task = Task(services.gateway, await _running(services))
    steps = iter("ab")
    assert [await task.advance(steps) for _ in range(3)] == ["a", "b", None]
