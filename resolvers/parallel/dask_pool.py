"""Tasks of a run on Dask: given out a few at a time, taken back in order, forgotten where the run stops.

A task whose worker died is done again by another, with the same arguments and hence the same result. What nobody can
work is said in one line rather than waited for.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from graph.errors import GraphError, Outage
from graph.settings import Settings
from nvp.errors import FieldError
from resolvers.parallel.cluster import address_of, connected, embedded, no_answer, workers_of
from resolvers.parallel.pool import Parallel, Pool
from resolvers.parallel.work import Place, Worked, unpacked, versions, work
from resolvers.task import Task

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")
# between two looks at whether the run is to stop, and at whether there are workers
LOOK_SECONDS, ROLL_CALL_SECONDS = 0.2, 2.0
# a worker may be about to come, or be started again
PATIENCE_SECONDS, ABSENCE_SECONDS = 5.0, 30.0


@asynccontextmanager
async def dask_pool(settings: Settings, task: Task, wanted: Parallel) -> AsyncIterator[Pool]:
    """The scheduler that is set, else workers of our own; raises GraphError where none of them is fit."""
    if settings.scheduler is not None:
        async with connected(settings) as client:
            theirs = DaskPool(client, task, wanted, ours=False)
            await theirs.require_workers(PATIENCE_SECONDS)
            try:
                yield theirs
            finally:
                await theirs.forget()
        return
    if wanted.resources:
        raise GraphError(
            "NO_RESOURCE",
            f"expected Dask workers with {_said(wanted.resources)}, got none: FIELDGRAPH_SCHEDULER is not set.",
            next_step="Name a scheduler whose workers have it.",
        )
    # more processes than cores would wait for each other
    count = min(wanted.tasks, len(os.sched_getaffinity(0)))
    async with embedded(count) as client:
        ours = DaskPool(client, task, replace(wanted, tasks=count), ours=True)
        try:
            yield ours
        finally:
            await ours.forget()


class DaskPool:
    """Gives tasks to a scheduler's workers."""

    def __init__(self, client: Client, task: Task, wanted: Parallel, *, ours: bool) -> None:
        self._client = client
        self._task = task
        self._wanted = wanted
        # those of our own are as many as tasks are wanted at once: some may wait at their door
        self._ours = ours
        self._shared: dict[int, tuple[object, Future[Any]]] = {}
        self._window: deque[asyncio.Task[Any]] = deque()
        # when somebody fit was there last, and when we looked last
        self._seen = self._called = time.monotonic()

    def share(self, value: T) -> T:
        """The value itself; `map` knows it again wherever it stands among the arguments."""
        if id(value) not in self._shared:
            # a task of its own rather than data on some worker: should that one die, it is done again
            self._shared[id(value)] = value, self._submit(unpacked, pickle.dumps(value, protocol=5))
        return value

    async def map(self, function: Callable[..., T], each: AsyncIterable[Mapping[str, Any]]) -> AsyncIterator[T]:
        """As `Pool.map`."""
        coming, more = aiter(each), True
        window = self._window
        try:
            while True:
                while more and self._room():
                    try:
                        arguments = await anext(coming)
                    except StopAsyncIteration:
                        more = False
                    else:
                        window.append(asyncio.create_task(self._work(function, arguments)))
                if not window:
                    return
                await self._look()
                while window and window[0].done():
                    yield await window.popleft()
        finally:
            await self._drop()

    async def require_workers(self, seconds: float) -> None:
        """Wait so long for a worker that has what is wanted; raises GraphError for none that has it."""
        deadline = time.monotonic() + seconds
        while not self._fit(found := await workers_of(self._client)):
            self._task.check()
            if time.monotonic() < deadline:
                await asyncio.sleep(LOOK_SECONDS)
            elif found:
                raise GraphError(
                    "NO_RESOURCE",
                    f"expected a Dask worker with {_said(self._wanted.resources)} at {self._address}, got "
                    f"{len(found)} with {'; '.join(sorted({_said(has) for has in found.values()}))}.",
                    next_step=f"Start one: dask worker {self._address} --resources "
                    f'"{" ".join(f"{name}={amount:g}" for name, amount in self._wanted.resources.items())}"',
                )
            else:
                raise Outage(
                    "NO_DASK_WORKERS",
                    f"expected Dask workers at {self._address}, got none.",
                    next_step=f"Start one: dask worker {self._address}",
                )
        self._seen = self._called = time.monotonic()

    async def forget(self) -> None:
        """Drop what is not done, and what is shared."""
        await self._drop()
        for _, future in self._shared.values():
            future.release()  # type: ignore[no-untyped-call]
        self._shared.clear()

    async def _drop(self) -> None:
        """Have Dask forget the tasks that are out; one that has begun ends unheard."""
        window = list(self._window)
        self._window.clear()
        for one in window:
            one.cancel()
        await asyncio.gather(*window, return_exceptions=True)

    @property
    def _address(self) -> str:
        return address_of(self._client)

    def _room(self) -> bool:
        """Whether one more may be given out: results that wait for their turn take memory, too."""
        flying = sum(not one.done() for one in self._window)
        most = 2 * self._wanted.tasks
        return len(self._window) < most and flying < (most if self._ours else self._wanted.tasks)

    async def _look(self) -> None:
        """Return when something has ended; raises where the run is to stop, or nobody is there to end anything."""
        ended: set[asyncio.Task[Any]] = set()
        while not ended and not self._window[0].done():
            self._task.check()
            flying = [one for one in self._window if not one.done()]
            ended, _ = await asyncio.wait(flying, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if time.monotonic() - self._called > ROLL_CALL_SECONDS:
                await self._call_roll()
        for one in ended:
            one.result()  # what one of them raises need not wait for its turn

    async def _call_roll(self) -> None:
        """Raise Outage where nobody has been there for long who could work what is given out."""
        found, self._called = await workers_of(self._client), time.monotonic()
        if self._fit(found):
            self._seen = self._called
        elif self._called - self._seen > ABSENCE_SECONDS:
            raise Outage(
                "NO_DASK_WORKERS",
                f"expected a Dask worker with {_said(self._wanted.resources)} at {self._address}, got none for "
                f"{ABSENCE_SECONDS:.0f} s.",
                next_step="See what they logged when they ended.",
            )

    def _fit(self, workers: Mapping[str, Mapping[str, float]]) -> bool:
        """Whether one of them has what is wanted."""
        wanted = self._wanted.resources.items()
        return any(all(has.get(name, 0.0) >= amount for name, amount in wanted) for has in workers.values())

    async def _work(self, function: Callable[..., T], arguments: Mapping[str, Any]) -> T:
        """One task, from its being given out to what came of it."""
        from distributed.client import FutureCancelledError
        from distributed.scheduler import KilledWorker

        shared: list[Future[Any]] = []
        known: dict[str, Any] = {}
        for name, value in arguments.items():
            if id(value) in self._shared:
                known[name] = Place(len(shared))
                shared.append(self._shared[id(value)][1])
            else:
                known[name] = value
        future = self._submit(work, versions(), pickle.dumps((function, known), protocol=5), *shared)
        try:
            worked = cast("Worked", await future)
        except FutureCancelledError as error:  # the scheduler is gone, or someone else there forgot it
            raise no_answer(self._address, error) from error
        except KilledWorker as error:
            raise GraphError(
                "DASK_WORKERS_DIED",
                f"expected a task to end, got {error.allowed_failures + 1} Dask workers that died of it.",
                next_step="See what they logged; most often it is memory.",
            ) from error
        except RuntimeError as error:
            if "deserialization" not in str(error):
                raise
            raise _strangers(self._address, "no fieldgraph of this version") from error
        finally:
            future.release()  # type: ignore[no-untyped-call]
        if worked.stranger is not None:
            raise _strangers(self._address, worked.stranger)
        # processes of our own are counted with us when they end
        self._task.note(worked.device, None if self._ours else worked.spent)
        if worked.refused is not None:
            code, said = worked.refused
            raise FieldError(code, said)
        return cast("T", worked.value)

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        resources = dict(self._wanted.resources) or None
        return self._client.submit(function, *arguments, pure=False, resources=resources)


def _strangers(address: str, got: str) -> GraphError:
    return GraphError(
        "OTHER_VERSIONS",
        f"expected a Dask scheduler and workers with {versions()} at {address}, got {got}.",
        next_step="Start them from this installation, or one like it.",
    )


def _said(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {amount:g}" for name, amount in sorted(resources.items())) or "no resources"
