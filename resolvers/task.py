"""A task: what a service may do with the run it is working on, which is to report, to be stopped and to compute.

A service runs in the worker's child. It is told of a cancellation or a lost lease by an exception at its next report,
so a service that reports at each dispatch to the accelerator honours both there. The lease token goes with every
report: a run that was given to someone else cannot be written to any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from graph.gateway import Gateway
from graph.queries import runs
from graph.queries.leases import Lease, LeaseLost
from resolvers.energy.spent import Spent

__all__ = ["Cancelled", "LeaseLost", "Task"]

T = TypeVar("T")
P = ParamSpec("P")

REPORT_SECONDS = 0.5  # progress is written at 2 Hz at most


class Cancelled(Exception):
    """Someone asked for this run to stop."""


class Task:
    """The handle of one leased run, made by the child and given to `execute(services, run, task)`."""

    def __init__(self, gateway: Gateway, run: runs.RunRow, *, thread: ThreadPoolExecutor | None = None) -> None:
        self.lease: Lease = run.lease
        # on which devices others worked for this run, and what was spent for it so far, here and there
        self.devices: set[str] = set()
        self.spent: list[Spent] = []
        self._gateway = gateway
        self._thread = thread
        self._reported = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: type[Cancelled | LeaseLost] | None = None

    async def report(self, fraction: float, message: str) -> None:
        """Write progress (0 … 1) and what is going on; calls that come too soon after the last are left out.

        Raises `Cancelled` or `LeaseLost`, so call it at each dispatch.
        """
        self.check()
        now = time.monotonic()
        if now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        progress = min(max(fraction, 0.0), 1.0)
        beat = await runs.report(self._gateway, self.lease.run, self.lease.token, progress, message)
        if beat is None:
            self.lose()
        elif beat.cancel_requested:
            self.cancel()
        self.check()

    def tell(self, fraction: float, message: str) -> None:
        """`report` for a function that runs by `compute`: blocks its thread, not the child."""
        self.check()
        if self._loop is None:
            raise RuntimeError("expected to be called from within `compute`.")
        if time.monotonic() - self._reported >= REPORT_SECONDS:
            asyncio.run_coroutine_threadsafe(self.report(fraction, message), self._loop).result()

    def check(self) -> None:
        """Raise `Cancelled` or `LeaseLost` if the run is to stop; costs nothing."""
        if self._stop is not None:
            raise self._stop(self.lease.run)

    def note(self, device: str | None, spent: Spent | None) -> None:
        """Take into the account what was done for this run; `spent` None: it is counted already."""
        if device is not None:
            self.devices.add(device)
        if spent is not None:
            self.spent.append(spent)

    def cancel(self) -> None:
        """Make the next `check` raise `Cancelled`."""
        self._stop = self._stop or Cancelled

    def lose(self) -> None:
        """Make the next `check` raise `LeaseLost`, which outweighs a cancellation."""
        self._stop = LeaseLost

    async def compute(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a blocking function in the one thread that owns the accelerator, while the child goes on listening."""
        self.check()
        self._loop = asyncio.get_running_loop()
        return await self._loop.run_in_executor(self._thread, lambda: function(*args, **kwargs))

    async def advance(self, steps: Iterator[T]) -> T | None:
        """The next item of a blocking generator by `compute`; None at its end."""
        return await self.compute(next, steps, None)
