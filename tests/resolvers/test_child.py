"""A child answers for each of its runs, whatever goes wrong, or ends: a worker never waits for nothing."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from graph.queries import runs
from graph.queries.runs import RunRow
from graph.settings import Settings
from resolvers import child
from resolvers.child import Child
from resolvers.energy.spent import ESTIMATED, Spent
from resolvers.executor import Executor
from resolvers.pipe import Done, Execute, Hello, Message, Ready, receive, send
from resolvers.poke import Bell
from resolvers.services.context import Services
from resolvers.task import Task
from resolvers.worker import Worker
from tests.resolvers.working import leased

pytestmark = pytest.mark.db


class _Answers:
    """Stands for the child's stdout: keeps what was said."""

    def __init__(self) -> None:
        self.said: list[Message] = []
        self.more = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.said.append(pickle.loads(data[4:]))
        self.more.set()

    async def drain(self) -> None:
        pass


def _told(*messages: Message) -> asyncio.StreamReader:
    """A child's stdin on which these stand, and which stays open."""
    reader = asyncio.StreamReader()
    for message in messages:
        body = pickle.dumps(message)
        reader.feed_data(len(body).to_bytes(4, "big") + body)
    return reader


async def _broken(services: Services) -> RunRow:
    """A run in work that no service can do: its configuration is empty."""
    row = await runs.submit(
        services.gateway, kind="training", config={}, capability="batch", dedup_key=None, rng_seed=0, inputs=[]
    )
    return await leased(services, row)


async def test_what_goes_wrong_outside_a_service_ends_the_child(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def lost() -> Iterator[Any]:
        yield None
        raise OSError("the device is lost")

    monkeypatch.setattr(child, "meter", lost)
    answers = _Answers()
    told = _told(Hello(settings=services.settings), Execute(runs=(await _broken(services),)))
    async with asyncio.timeout(20):
        with pytest.raises(OSError, match="the device is lost"):
            await Child(told, cast("asyncio.StreamWriter", answers)).serve()
    assert [type(said) for said in answers.said] == [Ready]


async def test_a_backend_that_cannot_start_fails_the_run_and_not_the_child(
    services: Services, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "nonsense")
    run = await _broken(services)
    async with Executor(settings, "batch") as executor, asyncio.timeout(60):
        done = (await executor.execute([run]))[run.uid]
        assert executor.pid is not None
    assert (done.state, done.error_code, done.device) == ("FAILED", "INTERNAL", None)


class _Paced:
    """Stands for a service: some runs end at once, those that wait when they are let go."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def execute(self, services: Services, run: RunRow, task: Task) -> None:
        self.begun.set()
        if run.config["waits"]:
            await self.go.wait()


async def _paced(services: Services, kind: str, *, waits: bool) -> RunRow:
    return await runs.submit(
        services.gateway,
        kind=kind,
        config={"waits": waits},
        capability="orchestration",
        dedup_key=None,
        rng_seed=0,
        inputs=[],
    )


@contextmanager
def _six_joules() -> Iterator[Any]:
    yield SimpleNamespace(spent=Spent(6.0, 1.0, ESTIMATED))


@pytest.mark.parametrize(
    ("kind", "joules"),
    [("ace", (3.0, 9.0)), ("relaxation", (6.0, 6.0))],  # side by side, and one after the other
)
async def test_a_run_is_answered_for_when_it_ends_and_pays_for_its_own_time(
    kind: str, joules: tuple[float, float], services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = _Paced()
    monkeypatch.setattr(child, "import_module", lambda name: service)
    monkeypatch.setattr(child, "meter", _six_joules)
    group = [await leased(services, await _paced(services, kind, waits=waits)) for waits in (False, True)]
    answers = _Answers()
    told = _told(Hello(settings=services.settings), Execute(runs=tuple(group)))
    serving = asyncio.create_task(Child(told, cast("asyncio.StreamWriter", answers)).serve())

    async def ended(n: int) -> list[Done]:
        while len(done := [said for said in answers.said if isinstance(said, Done)]) < n:
            answers.more.clear()
            await answers.more.wait()
        return done

    async with asyncio.timeout(20):
        (quick,) = await ended(1)
        assert (quick.uid, quick.state) == (group[0].uid, "SUCCEEDED")
        service.go.set()
        quick, slow = await ended(2)
    serving.cancel()
    assert slow.uid == group[1].uid
    assert [done.spent and done.spent.joules for done in (quick, slow)] == list(joules)


class _Pipe:
    """What is written at one end is read at the other."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()

    def write(self, data: bytes) -> None:
        self.reader.feed_data(data)

    async def drain(self) -> None:
        pass


async def test_what_waits_lets_others_join_as_they_come(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    service = _Paced()
    monkeypatch.setattr(child, "import_module", lambda name: service)
    monkeypatch.setattr(child, "meter", _six_joules)
    patient = services.settings.model_copy(update={"lease_seconds": 60.0})
    there, back = _Pipe(), _Pipe()
    serving = asyncio.create_task(Child(there.reader, cast("asyncio.StreamWriter", back)).serve())
    await send(cast("asyncio.StreamWriter", there), Hello(settings=patient))
    assert isinstance(await receive(back.reader), Ready)
    executor = Executor(patient, "orchestration")
    process = SimpleNamespace(pid=1, returncode=None, stdin=there, stdout=back.reader)
    executor._process = cast("asyncio.subprocess.Process", process)
    worker = Worker(services.gateway, patient, "orchestration")

    async def moved(run: RunRow, attempt: int, state: str) -> RunRow:
        while (run.attempt, run.state) != (attempt, state):
            await asyncio.sleep(0.05)
            run = await runs.run(services.gateway, run.uid)
        return run

    slow = await _paced(services, "ace", waits=True)
    async with asyncio.timeout(60):
        turn = asyncio.create_task(worker._turn(executor, Bell(None)))
        await service.begun.wait()
        late = await moved(await _paced(services, "ace", waits=False), 1, "SUCCEEDED")
        slow = await runs.run(services.gateway, slow.uid)
        assert slow.state == "RUNNING"
        # it is lost, found by its own worker and handed back: one process does not work it twice at once
        await runs.transition(services.gateway, slow.uid, "RUNNING", "QUEUED", slow.lease_token, lost=True)
        slow = await moved(slow, 3, "QUEUED")
        alone = await _paced(services, "ace", waits=False)
        service.go.set()
        await turn
        assert (await runs.run(services.gateway, alone.uid)).state == "QUEUED"
        await worker._turn(executor, Bell(None))
    serving.cancel()
    slow, alone = [await runs.run(services.gateway, run.uid) for run in (slow, alone)]
    assert [run.state for run in (slow, late, alone)] == ["SUCCEEDED"] * 3
    assert (slow.losses, late.energy_joules) == (1, 3.0)
    assert not await executor.join([slow]), "nothing is going on that it could join"
