"""A run whose time is up is told, then killed; it has failed for good, and those beside it go on elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import pytest

from graph.queries import runs
from graph.queries.runs import RunRow
from resolvers import worker
from resolvers.energy.spent import ESTIMATED, Spent
from resolvers.executor import ChildDied, Executor
from resolvers.pipe import Done
from resolvers.services.context import Services
from resolvers.worker import Worker

pytestmark = pytest.mark.db
SPENT = Spent(3.0, 1.0, ESTIMATED)


class _Child:
    """Stands for the child: works until it is told to stop, which it does or does not hear."""

    def __init__(self, *, hears: bool, seconds: float = 30.0) -> None:
        self.ended: dict[str, Done] = {}
        self.spending: dict[str, Spent] = {}
        self.told: list[str] = []
        self.killed = asyncio.Event()
        self._hears = hears
        self._seconds = seconds
        self._stop = asyncio.Event()

    async def execute(self, group: Sequence[RunRow], heard: Callable[[Done], None]) -> dict[str, Done]:
        self.spending = dict.fromkeys((run.uid for run in group), SPENT)
        waits = [asyncio.create_task(event.wait()) for event in (self._stop, self.killed)]
        await asyncio.wait(waits, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if self.killed.is_set():
            raise ChildDied(-9)
        for run in group:
            state = "CANCELLED" if run.uid in self.told else "SUCCEEDED"
            self.ended[run.uid] = Done(uid=run.uid, state=state, device="cpu", spent=SPENT)
            heard(self.ended[run.uid])
        return self.ended

    async def stop(self, uid: str, *, lost: bool = False) -> None:
        self.told.append(uid)
        if self._hears:
            self._stop.set()

    async def kill(self) -> None:
        self.killed.set()


async def worked(services: Services, child: _Child, *limits: float | None) -> list[RunRow]:
    """Runs with these limits, after one worker has had them all in work at once."""
    rows = [
        await runs.submit(
            services.gateway,
            kind="prediction",
            config={},
            capability="interactive",
            dedup_key=None,
            rng_seed=0,
            inputs=[],
            time_limit=limit,
        )
        for limit in limits
    ]
    claimed = await runs.claim(services.gateway, capability="interactive", worker="w", lease_seconds=30, limit=9)
    await Worker(services.gateway, services.settings, "interactive")._work(cast("Executor", child), claimed)
    return [await runs.run(services.gateway, row.uid) for row in rows]


async def test_a_run_that_stops_when_its_time_is_up_has_failed(services: Services) -> None:
    child = _Child(hears=True)
    late, beside = await worked(services, child, 0.3, None)
    assert (late.state, late.error_code, late.attempt) == ("FAILED", "TIME_LIMIT", 1)
    assert late.error_message == "expected an end within 0.3 s, got none."
    assert late.seconds >= 0.3
    assert (late.energy_joules, late.device) == (3.0, "cpu")
    assert beside.state == "SUCCEEDED"
    assert (child.told, child.killed.is_set()) == ([late.uid], False)


async def test_one_that_does_not_hear_is_killed_and_those_beside_it_go_back(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "GRACE_SECONDS", 0.5)
    child = _Child(hears=False)
    late, beside = await worked(services, child, 0.3, 600.0)
    assert child.killed.is_set()
    assert (late.state, late.error_code) == ("FAILED", "TIME_LIMIT")
    assert (beside.state, beside.attempt, beside.message) == (
        "QUEUED", 2, "to be tried again: handed back by its worker"
    )  # fmt: skip


async def test_one_that_ends_in_time_is_left_alone(services: Services) -> None:
    child = _Child(hears=True, seconds=0.2)
    (done,) = await worked(services, child, 30.0)
    assert (done.state, child.told) == ("SUCCEEDED", [])


async def test_a_crash_is_tried_again_after_a_while(services: Services) -> None:
    child = _Child(hears=False)
    child.killed.set()
    (crashed,) = await worked(services, child, None)
    assert (crashed.state, crashed.attempt, crashed.unmetered) == ("QUEUED", 2, 1)
    assert await runs.claim(services.gateway, capability="interactive", worker="w", lease_seconds=30) == []
    (row,) = await services.gateway.read(
        "MATCH (r:Run) RETURN duration.inSeconds(r.touched_at, r.not_before).milliseconds AS wait"
    )
    assert 900 < row["wait"] < 2100
