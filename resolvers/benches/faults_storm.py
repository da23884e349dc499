"""Faults made on purpose, one at a time: SIGKILL for a worker, an API process or Neo4j, a worker that sleeps longer
than its lease, and failpoints.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import psutil

from graph.embedded import server
from graph.errors import Outage
from graph.settings import Settings
from nvp.failpoints import Failpoint, arm, armed
from resolvers.benches.faults_watch import Watch
from resolvers.serving import until_ready

Fault = Literal["worker", "api", "neo4j", "paused"] | Failpoint
FAULTS: tuple[Fault, ...] = ("worker", "api", "neo4j", "paused", *get_args(Failpoint))
PATIENCE_SECONDS = 600.0  # on a busy machine, for a fault to take effect or a process to come back
LOOK_SECONDS = 0.1


class Storm:
    """Makes faults while a training is there to suffer them; the processes are children of this one."""

    def __init__(self, settings: Settings, watch: Watch, *, url: str, points: Path, rng: np.random.Generator) -> None:
        self._settings, self._watch, self._url, self._points, self._rng = settings, watch, url, points, rng
        self.over = False

    async def strike(self, fault: Fault) -> None:
        """Make this fault happen, and wait until the service answers again."""
        await until(lambda: bool(self._watch.running("training")), f"a training to be hit by {fault!r}")
        await asyncio.sleep(float(self._rng.uniform(0, 1.5)))
        match fault:
            case "worker":
                (await self._one("resolvers.worker", "batch")).kill()
            case "api":
                (await self._one("resolvers.listen")).kill()
            case "neo4j":
                if (running := server.find(self._settings)) is not None:
                    os.kill(running.pid, signal.SIGKILL)
            case "paused":
                await self._pause(await self._one("resolvers.worker", "batch"))
            case point:
                arm(self._points, point)
                await until(lambda: not armed(self._points, point), f"somebody to come to {point!r}")
        await until_ready(self._url, seconds=PATIENCE_SECONDS)

    async def _pause(self, worker: psutil.Process) -> None:
        """Stop a worker with its child until its lease is lost, then let them go on as if nothing had been."""
        stopped = [worker, *worker.children(recursive=True)]
        for process in stopped:
            _signal(process, signal.SIGSTOP)
        await asyncio.sleep(2.5 * self._settings.lease_seconds)
        for process in stopped:
            _signal(process, signal.SIGCONT)

    async def _one(self, *words: str) -> psutil.Process:
        """One of the processes that run this module, by chance."""
        await until(lambda: bool(_ours(words)), f"a process of {' '.join(words)}")
        found = _ours(words)
        return found[int(self._rng.integers(len(found)))]


async def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for a condition; raises Outage where it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Outage(
                "FAULTS_STUCK",
                f"expected {what} within {seconds:.0f} s, got nothing.",
                next_step="The logs on stderr say what the workers did last.",
            )
        await asyncio.sleep(LOOK_SECONDS)


def _ours(words: tuple[str, ...]) -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            line = process.cmdline()
            if all(word in line for word in words) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
