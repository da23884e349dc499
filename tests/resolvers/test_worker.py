"""A worker keeps leases alive, passes on what must stop, and writes how each run ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from graph.queries import prediction, runs, timeline, training
from graph.queries.runs import RunRow
from resolvers.energy.spent import ESTIMATED, Spent
from resolvers.executor import ChildDied, Executor
from resolvers.pipe import Done
from resolvers.services.context import Services
from resolvers.services.submission import PredictionRequest, TrainingRequest, submit_prediction, submit_training
from resolvers.worker import Worker
from tests.resolvers.carried import ingest_carried
from tests.resolvers.working import leased, worked

pytestmark = pytest.mark.db

CRASHED = Done(uid="", state="FAILED", error_code="CHILD_DIED", error_message="died.", again=True)


async def _submitted(services: Services, *, dedup_key: str | None = "k") -> RunRow:
    return await runs.submit(
        services.gateway, kind="training", config={}, capability="batch", dedup_key=dedup_key, rng_seed=0, inputs=[]
    )


@pytest.mark.parametrize(
    ("done", "lost", "state", "attempt"),
    [
        (Done(uid="", state="SUCCEEDED", spent=Spent(2.5, 1.0, "estimated")), (), "SUCCEEDED", 1),
        (Done(uid="", state="CANCELLED"), (), "CANCELLED", 1),
        (Done(uid="", state="QUEUED"), (True, True), "QUEUED", 4),
        (Done(uid="", state="FAILED", error_code="BAD", error_message="bad."), (), "FAILED", 1),
        (CRASHED, (), "QUEUED", 2),
        (CRASHED, (True, True), "FAILED", 3),
        (CRASHED, (False, False, False), "QUEUED", 5),
        (CRASHED, (False, True, False, True), "FAILED", 5),
        (Done(uid="", state="LOST"), (), "RUNNING", 1),
    ],
)
async def test_how_a_run_ends(services: Services, done: Done, lost: tuple[bool, ...], state: str, attempt: int) -> None:
    """After attempts that were lost or handed back."""
    run = await leased(services, await _submitted(services))
    for each in lost:
        await runs.transition(services.gateway, run.uid, "RUNNING", "QUEUED", run.lease_token, lost=each)
        run = await leased(services, run)
    await Worker(services.gateway, services.settings, "batch")._finish(run, done)
    now = await runs.run(services.gateway, run.uid)
    assert (now.state, now.attempt) == (state, attempt)
    told = done.spent and (done.spent.joules, done.spent.source)
    assert (now.energy_joules, now.energy_source) == (told or (None, None))
    if state == "FAILED":
        assert (now.error_code, now.error_message) == (done.error_code, done.error_message)


class _Child:
    """Stands for the child: notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bool]] = []
        self.spending: dict[str, Spent] = {}
        self.ended: dict[str, Done] = {}

    async def stop(self, uid: str, *, lost: bool = False) -> None:
        self.told.append((uid, lost))
        if lost:
            raise ChildDied(-9)  # telling a child that is gone must not end the heartbeat


async def test_leases_outlive_long_work_and_cancellations_are_passed_on(services: Services) -> None:
    impatient = services.settings.model_copy(update={"lease_seconds": 0.9})
    kept, cancelled, lost = [
        await leased(
            services,
            await runs.submit(
                services.gateway, kind="training", config={}, capability="batch", dedup_key=None, rng_seed=0, inputs=[]
            ),
            lease_seconds=0.9,
        )
        for _ in range(3)
    ]
    child = _Child()
    keeping = asyncio.create_task(
        Worker(services.gateway, impatient, "batch")._keep(cast("Executor", child), [kept, cancelled, lost])
    )
    await runs.request_cancel(services.gateway, cancelled.uid)
    await runs.transition(services.gateway, lost.uid, "RUNNING", "QUEUED", lost.lease_token)
    await asyncio.sleep(2.5)
    keeping.cancel()
    assert sorted(child.told) == sorted([(cancelled.uid, False), (lost.uid, True)])
    now = await services.gateway.read(
        "MATCH (r:Run {uid: $uid}) RETURN r.lease_until > datetime() AS held", uid=kept.uid
    )
    assert now == [{"held": True}]


class _Slow(_Child):
    """Ends its first run at once and the others when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def execute(self, group: Sequence[RunRow], heard: Callable[[Done], None]) -> dict[str, Done]:
        for run in group:
            self.ended[run.uid] = Done(uid=run.uid, state="SUCCEEDED", device="cpu")
            heard(self.ended[run.uid])
            await self.go.wait()
        return self.ended


async def test_the_end_of_a_run_does_not_wait_for_those_beside_it(services: Services) -> None:
    for _ in range(2):
        await _submitted(services, dedup_key=None)
    claimed = await runs.claim(services.gateway, capability="batch", worker="w", lease_seconds=2.0, limit=2)
    child = _Slow()
    impatient = services.settings.model_copy(update={"lease_seconds": 0.6})
    working = asyncio.create_task(Worker(services.gateway, impatient, "batch")._work(cast("Executor", child), claimed))
    quick, slow = (run.uid for run in claimed)
    async with asyncio.timeout(30):
        done = None
        while done is None or done.state != "SUCCEEDED":
            await asyncio.sleep(0.05)
            done = await runs.run(services.gateway, quick)
    await asyncio.sleep(0.5)  # a sign of life or two
    assert (await runs.run(services.gateway, slow)).state == "RUNNING"
    child.go.set()
    await working
    assert (await runs.run(services.gateway, slow)).state == "SUCCEEDED"
    assert child.told == [], "no lease was lost"


async def test_two_workers_share_what_there_is(services: Services) -> None:
    (sequence, *_) = await ingest_carried(services, sequences=3)
    trained = await worked(
        services, await submit_training(services, TrainingRequest(domain="fluid_dynamics", model="ridge"))
    )
    model = await training.model_of_run(services.gateway, trained.uid)
    assert model is not None
    patient = services.settings.model_copy(update={"lease_seconds": 20.0})
    workers = [Worker(services.gateway, patient, "interactive") for _ in range(2)]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    frames = await timeline.frames(services.gateway, sequence, 5, 24)
    wanted = [
        await submit_prediction(
            services, PredictionRequest(checkpoints=(str(model.best_checkpoint),), starts=(frame.uid,), steps=2)
        )
        for frame in frames
    ]
    bad = await runs.submit(
        services.gateway,
        kind="prediction",
        config={
            "checkpoints": ["nothing"],
            "starts": [frames[0].uid],
            "steps": 1,
            "forcing": "frozen",
            "members": False,
        },
        capability="interactive",
        dedup_key=None,
        rng_seed=0,
        inputs=[],
    )
    rows: list[RunRow] = []
    async with asyncio.timeout(120):
        while not rows or not all(row.finished for row in rows):
            await asyncio.sleep(0.1)
            rows = await runs.watch(services.gateway, [run.uid for run in [*wanted, bad]])
    for worker in workers:
        worker.end()
    await asyncio.gather(*running)
    ended: dict[str, Any] = {row.uid: (row.state, row.error_code, row.attempt) for row in rows}
    assert ended.pop(bad.uid) == ("FAILED", "NOT_FOUND", 1)
    assert set(ended.values()) == {("SUCCEEDED", None, 1)}
    assert all(row.energy_joules is not None and row.energy_joules > 0 for row in rows)
    assert {row.energy_source for row in rows} == {ESTIMATED}
    for run in wanted:
        assert len(await prediction.predictions_of_run(services.gateway, run.uid)) == 1
