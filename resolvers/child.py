"""The child: the only process that imports JAX. It does the work of runs while its worker keeps their leases.

It is spawned afresh (never forked after JAX has started), lives as long as its worker, and ends with it: by signal
(`lifeline`) and at the end of its stdin. Services are imported when a run of their kind first comes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module

from graph.errors import GraphError, Outage
from graph.queries.runs import RunRow
from graph.settings import Settings
from nvp.errors import FieldError
from resolvers.energy.meter import Meter, device, meter
from resolvers.energy.spent import Spent, share, total
from resolvers.lifeline import die_with_parent
from resolvers.logs import log_to_stderr
from resolvers.pipe import Done, Execute, Hello, Message, Ready, Spending, Stop, receive, send
from resolvers.services.context import Services, open_services
from resolvers.task import Cancelled, LeaseLost, Task

# kind of run → the module whose `execute` (or `execute_batch`, for runs that arrive together) does it
SERVICES = {
    "training": "resolvers.services.training",
    "prediction": "resolvers.services.prediction",
    "evaluation": "resolvers.services.evaluation",
    "generation": "resolvers.services.generation",
    "relaxation": "resolvers.services.relaxation",
    "sweep": "resolvers.services.sweep",
    "expansion": "resolvers.services.expansion",
    "ace": "resolvers.services.ace",
    "shadows": "resolvers.services.shadows",
}

# kinds that wait for other runs rather than compute: those that arrive together are worked side by side
WAITING = frozenset({"ace"})

log = logging.getLogger(__name__)


class Child:
    """Reads what its worker says, works one group of runs after the other, and answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._tasks: dict[str, Task] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="accelerator")

    async def serve(self) -> None:
        """Work until the worker closes the pipe."""
        hello = await receive(self._reader)
        if not isinstance(hello, Hello):
            raise TypeError(f"expected Hello first, got {type(hello).__name__}.")
        os.nice(hello.niceness)  # before any thread exists: each has its own
        async with open_services(hello.settings) as services:
            for kind in hello.kinds:
                await asyncio.to_thread(import_module, SERVICES[kind])
            await self._say(Ready(device=device()))
            group: asyncio.Task[None] | None = None
            while True:
                try:
                    message = await self._next(group)
                except asyncio.IncompleteReadError:
                    os._exit(0)  # the worker is gone and its leases with it: stop in mid-computation
                if isinstance(message, Execute):
                    if group is not None:
                        await group
                    group = asyncio.create_task(self._work(services, message.runs))
                elif isinstance(message, Stop) and message.uid in self._tasks:
                    task = self._tasks[message.uid]
                    if message.lost:
                        task.lose()
                    else:
                        task.cancel()

    async def _next(self, group: asyncio.Task[None] | None) -> Message:
        """What the worker says next. What goes wrong with the group outside its services is raised: none else asks."""
        hearing = asyncio.create_task(receive(self._reader))
        if group is not None:
            await asyncio.wait({hearing, group}, return_when=asyncio.FIRST_COMPLETED)
            if group.done():
                group.result()
        return await hearing

    async def _work(self, services: Services, runs: Sequence[RunRow]) -> None:
        self._tasks = {run.uid: Task(services.gateway, run, thread=self._thread) for run in runs}
        for kind in dict.fromkeys(run.kind for run in runs):
            together = [(run, self._tasks[run.uid]) for run in runs if run.kind == kind]
            with meter() as running:
                uids = [run.uid for run, _ in together]
                telling = asyncio.create_task(self._tell(running, uids, services.settings.lease_seconds / 3))
                try:
                    errors = await _errors(kind, services, together)
                finally:
                    telling.cancel()
            # what arrives together is worked together, and shares what that takes
            for uid, error in errors.items():
                done = _done(uid, error, " + ".join(sorted(self._tasks[uid].devices)) or device())
                await self._say(replace(done, spent=self._spent(running, uid, len(together))))

    async def _tell(self, running: Meter, uids: Sequence[str], seconds: float) -> None:
        """Say every so often what was spent: should this process be killed, that much is known."""
        while True:
            await asyncio.sleep(seconds)
            await self._say(Spending(by={uid: self._spent(running, uid, len(uids)) for uid in uids}))

    def _spent(self, running: Meter, uid: str, among: int) -> Spent:
        """A run's part of what is spent here, and what others spent for it."""
        return total([share(running.spent, among), *self._tasks[uid].elsewhere])

    async def _say(self, message: Message) -> None:
        await send(self._writer, message)


async def _errors(
    kind: str, services: Services, together: Sequence[tuple[RunRow, Task]]
) -> Mapping[str, Exception | None]:
    """Work runs of one kind, as a batch where their service can; what went wrong with each."""
    try:
        module = import_module(SERVICES[kind])
        if hasattr(module, "execute_batch"):
            found: Mapping[str, Exception | None] = await module.execute_batch(services, together)
            return found
    except Exception as error:
        return dict.fromkeys((run.uid for run, _ in together), error)
    works = [_error(module.execute(services, run, task)) for run, task in together]
    ended = await asyncio.gather(*works) if kind in WAITING else [await work for work in works]
    return {run.uid: error for (run, _), error in zip(together, ended, strict=True)}


async def _error(work: Awaitable[None]) -> Exception | None:
    try:
        await work
    except Exception as error:
        return error
    return None


def _done(uid: str, error: Exception | None, name: str | None) -> Done:
    match error:
        case None:
            return Done(uid=uid, state="SUCCEEDED", device=name)
        case Cancelled():
            return Done(uid=uid, state="CANCELLED", device=name)
        case LeaseLost():
            return Done(uid=uid, state="LOST", device=name)
        case GraphError(code="PARENT_ENDED"):  # it was about to ask for work, and is to stop
            return Done(uid=uid, state="CANCELLED", device=name)
        case GraphError() | FieldError():
            return Done(
                uid=uid,
                state="FAILED",
                error_code=error.code,
                error_message=str(error),
                again=isinstance(error, Outage),
                device=name,
            )
    log.error("run %s failed", uid, exc_info=error)
    message = f"{type(error).__name__}: {error}".splitlines()[0]
    return Done(uid=uid, state="FAILED", error_code="INTERNAL", error_message=message, device=name)


async def _main() -> None:
    # keep the pipe to ourselves: whatever prints to stdout from here on goes to stderr
    answers = os.dup(1)
    os.dup2(2, 1)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(0, "rb", buffering=0))
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(answers, "wb", buffering=0)
    )
    try:
        await Child(reader, asyncio.StreamWriter(transport, protocol, None, loop)).serve()
    except Exception:
        log.exception("the child ends")
        os._exit(1)  # asyncio's own end waits for threads, and one of them may compute for long


def main() -> None:
    """`python -m resolvers.child PARENT`, started by `resolvers.executor` only."""
    die_with_parent(int(sys.argv[1]))
    log_to_stderr(Settings())
    asyncio.run(_main())


if __name__ == "__main__":
    main()
