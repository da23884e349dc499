"""The child: the only process that imports JAX. It does the work of runs while its worker keeps their leases.

It is spawned afresh (never forked after JAX has started), lives as long as its worker, and ends with it: by signal
(`lifeline`) and at the end of its stdin. Services are imported when a run of their kind first comes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
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

# kind of run → the module whose `execute` does it
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

# kinds whose runs are computed as one where they arrive together, by `execute_batch`
TOGETHER = frozenset({"prediction"})
# kinds that wait for other runs rather than compute: those that arrive together are worked side by side
WAITING = frozenset({"ace"})

# runs that are worked as one, each with its task; and portions in work, by the work
Portion = Sequence[tuple[RunRow, Task]]
Going = dict[asyncio.Task[Mapping[str, Exception | None]], Portion]

log = logging.getLogger(__name__)


class Child:
    """Reads what its worker says, works one group of runs after the other, and answers.

    Runs that wait may join a group that does.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._tasks: dict[str, Task] = {}
        # runs in work that wait for others: more may join them
        self._going: Going = {}
        self._joined = asyncio.Event()
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
                if isinstance(message, Execute) and self._going:
                    self._join(services, message.runs)
                elif isinstance(message, Execute):
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

    def _join(self, services: Services, runs: Sequence[RunRow]) -> None:
        """Let runs that wait go on beside those that wait already."""
        for run in runs:
            self._tasks[run.uid] = task = Task(services.gateway, run, thread=self._thread)
            portion = [(run, task)]
            self._going[asyncio.create_task(_errors(run.kind, services, portion))] = portion
        self._joined.set()

    async def _work(self, services: Services, runs: Sequence[RunRow]) -> None:
        """Work the runs kind by kind, and answer for each as it ends."""
        self._tasks = {run.uid: Task(services.gateway, run, thread=self._thread) for run in runs}
        for kind in dict.fromkeys(run.kind for run in runs):
            alike = [(run, self._tasks[run.uid]) for run in runs if run.kind == kind]
            if kind in TOGETHER:
                await self._beside(kind, services, [alike])
            elif kind in WAITING:
                await self._beside(kind, services, [[one] for one in alike])
            else:
                for one in alike:
                    await self._beside(kind, services, [[one]])

    async def _beside(self, kind: str, services: Services, portions: Sequence[Portion]) -> None:
        """Work portions of runs side by side, and answer for each when it ends.

        Whatever is spent while n runs go on, each of them has 1/n of.
        """
        going: Going = {asyncio.create_task(_errors(kind, services, portion)): portion for portion in portions}
        if kind in WAITING:
            self._going = going
        while going:
            self._joined.clear()
            joined = asyncio.create_task(self._joined.wait())
            uids = [run.uid for portion in going.values() for run, _ in portion]
            with meter() as running:
                telling = asyncio.create_task(self._tell(running, uids, services.settings.lease_seconds / 3))
                try:
                    ended, _ = await asyncio.wait([*going, joined], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    telling.cancel()
                    joined.cancel()
            for uid in uids:
                self._tasks[uid].note(None, share(running.spent, len(uids)))
            for work in [work for work in going if work in ended]:
                del going[work]
                for uid, error in work.result().items():
                    task = self._tasks.pop(uid)
                    done = _done(uid, error, " + ".join(sorted(task.devices)) or device())
                    await self._say(replace(done, spent=total(task.spent)))

    async def _tell(self, running: Meter, uids: Sequence[str], seconds: float) -> None:
        """Say every so often what was spent: should this process be killed, that much is known."""
        while True:
            await asyncio.sleep(seconds)
            await self._say(Spending(by={uid: self._spent(running, uid, len(uids)) for uid in uids}))

    def _spent(self, running: Meter, uid: str, among: int) -> Spent:
        """A run's part of what is being spent here, and what was spent for it before and elsewhere."""
        return total([share(running.spent, among), *self._tasks[uid].spent])

    async def _say(self, message: Message) -> None:
        await send(self._writer, message)


async def _errors(kind: str, services: Services, portion: Portion) -> Mapping[str, Exception | None]:
    """Work runs of one kind, as a batch where they are to be worked together; what went wrong with each."""
    errors: dict[str, Exception | None] = dict.fromkeys(run.uid for run, _ in portion)
    try:
        module = import_module(SERVICES[kind])
        if kind in TOGETHER:
            errors |= await module.execute_batch(services, portion)
        else:
            ((run, task),) = portion
            await module.execute(services, run, task)
    except Exception as error:
        return dict.fromkeys(errors, error)
    return errors


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
