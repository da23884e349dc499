"""Independent tasks of one run, in order: in the child itself, or side by side on Dask where the run asks for it.

    async with pool(services.settings, task, asked(run.config)) as workers:
        fields = workers.share(series)
        async for scores in workers.map(score, each({"series": fields, "lead": lead} for lead in range(12))):
            …                                           # written here, under the run's lease

A task is a pure function of picklable values, named at the top of a module: it knows neither graph nor store, and done
twice it gives the same. Where it is done changes nothing in what comes back, nor its order.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from graph.errors import GraphError
from graph.settings import Settings
from resolvers.task import Task

T = TypeVar("T")
MAX_TASKS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """How tasks are to be worked."""

    # at once
    tasks: int
    # what a Dask worker must have for one of them, by name
    resources: Mapping[str, float] = field(default_factory=dict)


class Pool(Protocol):
    """Where tasks are worked."""

    def share(self, value: T) -> T:
        """Stands for a value in what `map` is given, for several tasks: it travels to each worker once."""
        ...

    def map(self, function: Callable[..., T], each: AsyncIterable[Mapping[str, Any]]) -> AsyncIterator[T]:
        """`function(**arguments)` for each of these, in their order.

        Raises `Cancelled` and `LeaseLost` where the run is to stop, what a task raises, and Outage and GraphError where
        there is nobody to work it.
        """
        ...


class InChild:
    """One task after the other, in the one thread that owns the accelerator."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def share(self, value: T) -> T:
        return value

    async def map(self, function: Callable[..., T], each: AsyncIterable[Mapping[str, Any]]) -> AsyncIterator[T]:
        async for arguments in each:
            value = await self._task.compute(function, **arguments)
            self._task.check()
            yield value


def pool(settings: Settings, task: Task, wanted: Parallel | None) -> AbstractAsyncContextManager[Pool]:
    """Where tasks of this run are worked; ended, and what is left of them forgotten, on the way out."""
    if wanted is None:
        return _in_child(task)
    from resolvers.parallel.dask_pool import dask_pool  # Dask

    return dask_pool(settings, task, wanted)


@asynccontextmanager
async def _in_child(task: Task) -> AsyncIterator[Pool]:
    yield InChild(task)


def asked(config: Mapping[str, Any]) -> Parallel | None:
    """What a run's configuration asks for; None: to be worked in its child."""
    if config.get("parallel") is None:
        return None
    return Parallel(tasks=config["parallel"], resources=config.get("resources") or {})


def wish(request: object) -> dict[str, Any]:
    """The same of a request, where it has the fields, for its run's configuration; raises GraphError for nonsense."""
    parallel: int | None = getattr(request, "parallel", None)
    resources: Mapping[str, Any] = getattr(request, "resources", {})
    if not isinstance(resources, Mapping):
        raise GraphError("BAD_REQUEST", f"expected resources by name, got {str(resources)[:80]}.")
    if parallel is None:
        if resources:
            raise GraphError(
                "BAD_REQUEST",
                f"expected resources ({', '.join(sorted(resources))}) of tasks in parallel, got no number of tasks.",
                next_step="Say how many at once.",
            )
        return {}
    if not 1 <= parallel <= MAX_TASKS:
        raise GraphError("BAD_REQUEST", f"expected 1 … {MAX_TASKS} tasks in parallel, got {parallel}.")
    for name, amount in resources.items():
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 < amount < float("inf"):
            raise GraphError("BAD_REQUEST", f"expected an amount of {name} above 0, got {amount!r}.")
    return {"parallel": parallel, **({"resources": dict(resources)} if resources else {})}


async def each(values: Iterable[T]) -> AsyncIterator[T]:
    """What is known beforehand, as `map` wants it."""
    for value in values:
        yield value
