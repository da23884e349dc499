"""What `train`, `predict`, `evaluate` and `generate` share: watch a run to its end, and work it if nobody else does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from graph.embedded import server
from graph.errors import GraphError
from graph.queries import runs
from graph.queries.runs import CAPABILITIES, RunRow
from graph.settings import Settings
from migrations import runner
from resolvers.cli.output import console
from resolvers.poke import poke
from resolvers.services.context import Services, open_services
from resolvers.supervisor import on_signals
from resolvers.worker import Worker

LOOK_SECONDS = 0.2  # between two looks at the run
CTRL_C = 130  # what a shell says of a program that Ctrl-C ended
TAKE_SECONDS = 1.5  # what a worker that is there gets to take the run, beyond its poll


class Interrupted(GraphError):
    """Ctrl-C came first; the run waits in the queue."""

    exit_code = CTRL_C


@asynccontextmanager
async def opened() -> AsyncIterator[Services]:
    """Services over a graph whose schema is up to date.

    A new graph of ours gets its schema here; one that has data, or a server of the user's, is migrated only by
    `fieldgraph migrate`.
    """
    settings = Settings()
    if settings.neo4j_uri is None and server.find(settings) is None:
        console.print("Starting Neo4j; it stays for the next commands, until `fieldgraph db stop`.")
    async with open_services(settings) as services:
        if settings.neo4j_uri is None and not (await runner.status(services.gateway)).applied:
            report = await runner.migrate(services.gateway)
            console.print(f"New graph: applied {len(report.applied)} migrations.")
        await runner.require_current(services.gateway)
        yield services


async def finish(services: Services, run: RunRow) -> RunRow:
    """The run at its end. Where no worker takes it soon, one of this process does, for this run only.

    A run that asks for others gets a worker of each capability, for itself and what becomes part of it.

    Raises GraphError where it failed, was cancelled or, by Ctrl-C, was handed back.
    """
    poke(services.settings, run.capability)
    capabilities = CAPABILITIES if run.capability == "orchestration" else (run.capability,)
    workers = [Worker(services.gateway, services.settings, name, only=run.uid) for name in capabilities]

    def end() -> None:
        for worker in workers:
            worker.end()

    on_signals(end)
    working: asyncio.Future[list[None]] | None = None
    patience = services.settings.poll_seconds + TAKE_SECONDS
    loop = asyncio.get_running_loop()
    began, reaped = loop.time(), -inf
    with _bar() as bar:
        line = bar.add_task(run.kind, total=1.0)
        while not run.finished and not any(worker.ended for worker in workers):
            if working is None and loop.time() - reaped > services.settings.lease_seconds / 3:
                # the worker that had it may have been killed, and no other be there to return it to the queue
                reaped = loop.time()
                await runs.reap(services.gateway, max_attempts=services.settings.max_attempts)
            if working is None and run.state == "QUEUED" and loop.time() - began > patience:
                working = asyncio.gather(*(worker.run() for worker in workers))
            if working is not None and working.done():
                working.result()
                working = None
            await asyncio.sleep(LOOK_SECONDS)
            run = await runs.run(services.gateway, run.uid)
            bar.update(line, completed=run.progress, description=run.message or run.state.lower())
    if working is not None:
        end()
        await working
        run = await runs.run(services.gateway, run.uid)
    return _ended(run)


def queued(run: RunRow) -> dict[str, Any]:
    """What a command prints of a run that it leaves to the workers."""
    return {"run": run.uid, "state": run.state}


def queued_text(result: dict[str, Any]) -> str:
    """The same for people."""
    said = f"run {result['run']} is {result['state'].lower()}; `fieldgraph serve` or `fieldgraph worker` works it."
    return f"{said}\nNext: fieldgraph runs show {result['run']}"


def _ended(run: RunRow) -> RunRow:
    match run.state:
        case "SUCCEEDED":
            return run
        case "FAILED":
            raise GraphError(run.error_code or "FAILED", f"run {run.uid} failed: {run.error_message}")
        case "CANCELLED":
            raise GraphError("CANCELLED", f"run {run.uid} was cancelled.", next_step="Submit it again.")
    raise Interrupted(
        "INTERRUPTED",
        f"run {run.uid} is {run.state.lower()}, not finished.",
        next_step="It goes on from its last checkpoint with the next worker, or with the same command.",
    )


def _bar() -> Progress:
    done = BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    left = TextColumn("ETA"), TimeRemainingColumn()
    return Progress(*done, *left, console=console, transient=True, disable=not console.is_terminal)
