"""Real processes over the session's Neo4j: workers that can be killed, with leases of two seconds."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator

import psutil
import pytest

from graph.gateway import Gateway
from graph.settings import Settings
from nvp.atlas.store import ArrayStore
from resolvers.services.context import Services
from resolvers.supervisor import exported

Start = Callable[[str], psutil.Process]


@pytest.fixture
def services(gateway: Gateway, settings: Settings) -> Services:
    """An empty graph, the session's store, leases of two seconds."""
    impatient = settings.model_copy(update={"lease_seconds": 2.0, "poll_seconds": 0.1})
    return Services(settings=impatient, gateway=gateway, store=ArrayStore(impatient.store))


@pytest.fixture
def start_worker(services: Services) -> Iterator[Start]:
    """Starts worker processes of a capability; those that are left are ended with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(capability: str) -> psutil.Process:
        command = [sys.executable, "-m", "resolvers.worker", capability, str(os.getpid())]
        worker = subprocess.Popen(command, env=environment(services.settings))
        started.append(worker)
        return psutil.Process(worker.pid)

    yield start
    for worker in started:
        worker.terminate()
    for worker in started:
        worker.wait(30)


def environment(settings: Settings) -> dict[str, str]:
    """What a user's process has: the settings, and JAX as it comes, without the strictness of the tests."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("JAX_NUM")}
    return {**ours, **exported(settings)}


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float, what: str) -> None:
    """Wait for a condition, looked at ten times a second."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.1)
