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
from resolvers.pipe import Done, Execute, Hello, Message, Ready
from resolvers.services.context import Services
from resolvers.task import Task
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
    """Stands for a service: its first run ends at once, the others when they are let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go = asyncio.Event()

    async def execute(self, services: Services, run: RunRow, task: Task) -> None:
        self.begun.append(run.uid)
        if len(self.begun) > 1:
            await self.go.wait()


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
    group = [
        await leased(
            services,
            await runs.submit(
                services.gateway, kind=kind, config={}, capability="batch", dedup_key=None, rng_seed=0, inputs=[]
            ),
        )
        for _ in range(2)
    ]
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
