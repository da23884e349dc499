"""The supervisor: Neo4j, the API and three workers as child processes, kept alive and ended together.

It is not the ASGI app and holds no state: what it starts finds its work in the graph. A child that ends is started
again with back-off; the listening socket belongs to the supervisor, so the port is never lost in between.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from graph.embedded import server
from graph.errors import Outage
from graph.gateway import Gateway
from graph.queries.run_rows import CAPABILITIES
from graph.settings import Settings

FIRST_PAUSE_SECONDS = 0.5  # before a child is started again; doubled each time up to the last
LAST_PAUSE_SECONDS = 30.0
HEALTHY_SECONDS = 60.0  # a child that lived this long starts again at the first pause
STOP_SECONDS = 15.0  # from SIGTERM to SIGKILL
NEO4J_LOOK_SECONDS = 2.0
CONNECTION = frozenset({"neo4j_uri", "neo4j_username", "neo4j_password", "neo4j_database"})  # Neo4j's own names

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised:
    """A child process; its last argument will be our process id, so that it ends with us."""

    name: str
    module: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    descriptors: tuple[int, ...] = ()

    async def run(self, ending: asyncio.Event) -> None:
        """Keep it alive until `ending` is set, then end it."""
        pause = FIRST_PAUSE_SECONDS
        while not ending.is_set():
            started = time.monotonic()
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self.module,
                *self.arguments,
                str(os.getpid()),
                env=dict(self.environment),
                pass_fds=self.descriptors,
                start_new_session=True,  # Ctrl-C is for us, who then end the children in good order
            )
            log.info("%s: process %d", self.name, process.pid)
            await _first(process.wait(), ending.wait())
            if ending.is_set():
                await _end(process)
                return
            if time.monotonic() - started > HEALTHY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            log.warning("%s ended with status %s; again in %.1f s", self.name, process.returncode, pause)
            await _first(asyncio.sleep(pause), ending.wait())
            pause = min(2 * pause, LAST_PAUSE_SECONDS)


class Supervisor:
    """Everything that `fieldgraph serve` starts."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ending = asyncio.Event()

    def end(self) -> None:
        """End all children and return from `run`."""
        self._ending.set()

    async def run(self, listener: socket.socket, on_start: Callable[[], None]) -> None:
        """Keep the API on `listener` and the workers alive until `end`; `on_start` is called once they are begun."""
        async with asyncio.TaskGroup() as group:
            for child in children(self._settings, listener):
                group.create_task(child.run(self._ending))
            if not self._settings.neo4j_uri:
                group.create_task(self._keep_neo4j())
            on_start()

    async def _keep_neo4j(self) -> None:
        """Start the embedded server again if it dies."""
        while not self._ending.is_set():
            await _first(asyncio.sleep(NEO4J_LOOK_SECONDS), self._ending.wait())
            try:
                await asyncio.to_thread(server.start, self._settings)
            except Outage as outage:
                log.warning("%s", outage)


def children(settings: Settings, listener: socket.socket) -> Sequence[Supervised]:
    """The API processes and a worker of each capability."""
    environment = {**os.environ, **exported(settings)}
    descriptor = listener.fileno()
    return [
        *(
            Supervised(
                name=f"api {number}",
                module="resolvers.listen",
                arguments=(str(descriptor),),
                environment=environment,
                descriptors=(descriptor,),
            )
            for number in range(1, settings.api_processes + 1)
        ),
        *(
            Supervised(name=capability, module="resolvers.worker", arguments=(capability,), environment=environment)
            for capability in CAPABILITIES
        ),
    ]


def listen(settings: Settings) -> socket.socket:
    """The socket of the API; raises Outage where its port is taken."""
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise Outage(
            "PORT_IN_USE",
            f"expected to listen on {settings.host}:{settings.port}, got: {error.strerror}.",
            next_step="Stop what listens there, or set FIELDGRAPH_PORT.",
        ) from None
    return listener


@asynccontextmanager
async def neo4j(settings: Settings) -> AsyncIterator[Gateway]:
    """A gateway; an embedded server that was not running before is stopped on the way out."""
    ours = not settings.neo4j_uri and server.find(settings) is None
    try:
        async with Gateway.open(settings) as gateway:
            yield gateway
    finally:
        if ours:
            await asyncio.to_thread(server.stop, settings)


def exported(settings: Settings) -> dict[str, str]:
    """The settings as environment variables, for a child to read them."""
    variables = {}
    for name, value in settings:
        if value is None:
            continue
        prefix = "" if name in CONNECTION else "FIELDGRAPH_"
        match value:
            case SecretStr():
                text = value.get_secret_value()
            case Path():
                text = str(value.absolute())
            case _:
                text = str(value)
        variables[f"{prefix}{name}".upper()] = text
    return variables


def on_signals(end: Callable[[], None]) -> None:
    """Call `end` at SIGTERM and SIGINT, in the running loop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)


async def _first(*works: Coroutine[Any, Any, object]) -> None:
    """Wait for the first of these and drop the others."""
    tasks = [asyncio.create_task(work) for work in works]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def _end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, and SIGKILL for one that does not listen."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
