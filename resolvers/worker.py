"""The worker: one loop that claims runs from the graph, has them worked and writes how they ended.

It pulls: Neo4j decides who gets a run, a poke only shortens the wait. While the child works, the worker renews the
lease, passes on a cancellation and ends a child that does not listen. A worker that is asked to end (SIGTERM) hands
its run back to the queue; one that is killed leaves it to whoever reaps the expired lease.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from graph.errors import Outage
from graph.gateway import Gateway
from graph.queries import runs
from graph.queries.backoff import pause
from graph.queries.runs import RunRow
from graph.settings import Settings
from migrations.runner import require_current
from nvp.failpoints import reach
from resolvers.executor import ChildDied, Executor
from resolvers.lifeline import end_with_parent
from resolvers.logs import log_to_stderr
from resolvers.pipe import Done
from resolvers.poke import Bell, bell

# how many runs one claim takes: predictions that arrive together go together, runs that wait for others wait together
GROUP = {"batch": 1, "interactive": 16, "orchestration": 8}
PRELOAD = {"interactive": ("prediction",)}  # kinds whose imports must not delay the first run
GRACE_SECONDS = 10.0  # for a child that was told to stop, until it is killed
FINISH_SECONDS = 2.0  # for runs in work when the worker is asked to end, until they are handed back
BACK = Done(uid="", state="QUEUED", error_message="handed back by its worker")

log = logging.getLogger(__name__)


class Worker:
    """Claims and works runs of one capability: `batch`, `interactive` or `orchestration`."""

    def __init__(self, gateway: Gateway, settings: Settings, capability: str, *, only: str | None = None) -> None:
        """`only`: the uid of the one run to work, with what is part of it; `run` then returns when it is finished."""
        self._gateway = gateway
        self._settings = settings
        self._capability = capability
        self._only = only
        self._name = f"{socket.gethostname()}/{os.getpid()}/{capability}"
        self._ending = asyncio.Event()
        self._reaped = 0.0
        # seconds of each claim that got something, and how many runs it got
        self.claims: list[tuple[float, int]] = []
        self._told: dict[str, Done] = {}
        # we ended the child over a run's time: the others of its group are not to blame
        self._killed = False

    @property
    def ended(self) -> bool:
        """Whether it has stopped claiming: it was told to, or its one run is finished."""
        return self._ending.is_set()

    def end(self) -> None:
        """Claim nothing more and return from `run` soon; a run in work is finished or handed back."""
        self._ending.set()

    async def run(self) -> None:
        """Work until `end` is called."""
        with bell(self._settings, self._capability) as poked:
            async with Executor(self._settings, self._capability) as executor:
                if self._only is None:
                    await executor.start(PRELOAD.get(self._capability, ()))
                while not self._ending.is_set():
                    try:
                        await self._turn(executor, poked)
                    except Outage as outage:  # leases that we could not renew are reaped by whoever comes first
                        log.warning("%s", outage)
                        await poked.wait(self._settings.lease_seconds / 3)

    async def _turn(self, executor: Executor, poked: Bell) -> None:
        """Look once: work what can be claimed, or wait for a poke."""
        await self._reap()
        claimed = await self._claim(GROUP[self._capability])
        if claimed:
            await self._work(executor, claimed, poked)
        if self._only is not None and (await runs.run(self._gateway, self._only)).finished:
            self.end()
        elif not claimed:
            await poked.wait(self._settings.poll_seconds)

    async def _reap(self) -> None:
        """Now and then: see to what others left behind."""
        if time.monotonic() - self._reaped > self._settings.lease_seconds / 3:
            self._reaped = time.monotonic()
            await runs.reap(self._gateway, max_attempts=self._settings.max_attempts)
            await self._certify()

    async def _claim(self, limit: int) -> list[RunRow]:
        began = time.perf_counter()
        claimed = await runs.claim(
            self._gateway,
            capability=self._capability,
            worker=self._name,
            lease_seconds=self._settings.lease_seconds,
            limit=limit,
            only=self._only,
        )
        if claimed:
            self.claims.append((time.perf_counter() - began, len(claimed)))
        return claimed

    async def _certify(self) -> None:
        """Certify experiments that are due: those that ended here, and those whose worker was lost right then."""
        if self._capability == "orchestration":
            # the others need neither signing nor what experiments are made of
            from resolvers.services.ace.certifying import certify_due

            await certify_due(self._gateway, self._settings)

    async def _work(self, executor: Executor, claimed: Sequence[RunRow], poked: Bell | None = None) -> None:
        """Have a group of runs worked, from their leases to their ends. Of those that wait more may join (`poked`)."""
        group = await self._begun(claimed)
        if not group:
            return
        self._told, self._killed = {}, False
        finishing: dict[str, asyncio.Task[None]] = {}

        def heard(done: Done) -> None:
            """A run's end is written at once, however long the others of its group go on."""
            run = next(run for run in group if run.uid == done.uid)
            finishing[run.uid] = asyncio.create_task(self._finish(run, self._judged(done)))

        beside = [asyncio.create_task(self._keep(executor, group))]
        beside += self._limits(executor, group)
        joining = asyncio.Lock()
        if poked is not None and self._capability == "orchestration":
            beside.append(asyncio.create_task(self._admit(executor, group, beside, joining, poked)))
        try:
            outcomes = await self._outcomes(executor, group, heard)
        finally:
            async with joining:  # nobody is on the way from the queue to the child
                for task in beside:
                    task.cancel()
        left = (self._finish(run, outcomes.get(run.uid, BACK)) for run in group if run.uid not in finishing)
        await asyncio.gather(*finishing.values(), *left)

    async def _begun(self, claimed: Sequence[RunRow]) -> list[RunRow]:
        """Those of the leased runs that are ours to work, RUNNING."""
        reach("leased")
        started = await asyncio.gather(
            *(runs.transition(self._gateway, run.uid, "LEASED", "RUNNING", run.lease_token) for run in claimed)
        )
        return [run for run in started if run is not None]

    def _limits(self, executor: Executor, begun: Sequence[RunRow]) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self._limit(executor, run)) for run in begun if run.time_limit is not None]

    async def _admit(
        self,
        executor: Executor,
        group: list[RunRow],
        beside: list[asyncio.Task[None]],
        joining: asyncio.Lock,
        poked: Bell,
    ) -> None:
        """Let more runs join the group while it has room, until cancelled; one that comes too late is handed back.

        So is one that was in the group before (it is tried again, or its lease was lost): then nobody joins any more,
        and it goes with the next group.
        """
        known: list[RunRow] = []
        while not known:
            await poked.wait(self._settings.poll_seconds)
            room = GROUP[self._capability] - sum(run.uid not in executor.ended for run in group)
            if room <= 0 or self.ended:
                await asyncio.sleep(self._settings.poll_seconds)
                continue
            async with joining:
                try:
                    await self._reap()
                    begun = await self._begun(await self._claim(room))
                except Outage as outage:
                    log.warning("%s", outage)
                    continue
                uids = {run.uid for run in group}
                known = [run for run in begun if run.uid in uids]
                late = [run for run in begun if run.uid not in uids]
                if late:
                    group += late
                    beside += self._limits(executor, late)
                    await executor.join(late)
                for run in known:
                    await self._finish(run, BACK)

    async def _outcomes(
        self, executor: Executor, group: Sequence[RunRow], heard: Callable[[Done], None]
    ) -> dict[str, Done]:
        """How each run ended; where the child died or we must end, what that means for the run."""
        handing_back = False
        working = asyncio.create_task(executor.execute(group, heard))
        ending = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await asyncio.wait({working}, timeout=FINISH_SECONDS)
            handing_back = not working.done()
            if handing_back:
                await executor.kill()
            return {uid: self._judged(done) for uid, done in (await working).items()}
        except ChildDied as died:
            if not handing_back:
                log.warning("%s", died)
            crashed = Done(uid="", state="FAILED", error_code="CHILD_DIED", error_message=f"{died}.", again=True)
            otherwise = BACK if handing_back or self._killed else crashed
            known = {uid: self._judged(done) for uid, done in executor.ended.items()}
            return {run.uid: otherwise for run in group} | self._told | known
        finally:
            ending.cancel()

    def _judged(self, done: Done) -> Done:
        """What the child said; one that stopped because its time was up has failed."""
        told = self._told.get(done.uid)
        if told is None or (told.state, done.state) != ("FAILED", "CANCELLED"):
            return done
        return replace(told, device=done.device, spent=done.spent)

    async def _limit(self, executor: Executor, run: RunRow) -> None:
        """End a run whose time is up: the child is told, and killed where it does not listen."""
        await asyncio.sleep(max(run.seconds_left or 0.0, 0.0))
        if run.uid in executor.ended:
            return
        message = f"expected an end within {run.time_limit:g} s, got none."
        late = Done(uid=run.uid, state="FAILED", error_code="TIME_LIMIT", error_message=message)
        self._told.setdefault(run.uid, late)
        with suppress(ChildDied):
            await executor.stop(run.uid)
        await asyncio.sleep(GRACE_SECONDS)
        if run.uid not in executor.ended:
            self._killed = True
            await executor.kill()

    async def _keep(self, executor: Executor, group: Sequence[RunRow]) -> None:
        """Renew the leases until cancelled; end a child that does not stop what it was told to stop."""
        renewed: dict[str, float] = {}
        deadline: float | None = None
        while True:
            for run in group:  # more may have joined
                renewed.setdefault(run.uid, time.monotonic())
            await asyncio.sleep(self._settings.lease_seconds / 3)
            going = [run for run in group if run.uid not in executor.ended]
            kept = (
                run
                for run in going
                if run.uid in renewed and (run.uid not in self._told or self._told[run.uid].state == "FAILED")
            )
            await asyncio.gather(*(self._renew(executor, run, renewed) for run in kept))
            if not going or any(run.uid not in self._told for run in going):
                deadline = None  # those that go on need the child
                continue
            deadline = deadline or time.monotonic() + GRACE_SECONDS
            if time.monotonic() > deadline:
                await executor.kill()
                return

    async def _renew(self, executor: Executor, run: RunRow, renewed: dict[str, float]) -> None:
        """One sign of life; a cancellation or a lost lease is passed on to the child."""
        lease, spent = run.lease, executor.spending.get(run.uid)
        try:
            beat = await runs.heartbeat(
                self._gateway,
                lease.run,
                lease.token,
                self._settings.lease_seconds,
                joules=None if spent is None else spent.joules,
                source=None if spent is None else spent.source,
            )
        except Outage:  # Neo4j may come back before the lease runs out
            if time.monotonic() - renewed[run.uid] < self._settings.lease_seconds:
                return
            beat = None
        if run.uid in executor.ended:
            return  # its end is written, or about to be
        if beat is None or beat.cancel_requested:
            told = Done(uid=run.uid, state="LOST" if beat is None else "CANCELLED")
            self._told[run.uid] = told if beat is None else self._told.get(run.uid, told)
            with suppress(ChildDied):  # then `_outcomes` knows
                await executor.stop(run.uid, lost=beat is None)
        else:
            renewed[run.uid] = time.monotonic()

    async def _finish(self, run: RunRow, done: Done) -> None:
        """Write the end of a run, or its return to the queue, under its lease."""
        state, delay, lost = done.state, 0.0, False
        fields: dict[str, Any] = {"device": done.device}
        if done.spent is not None:
            fields |= {"energy_joules": done.spent.joules, "energy_source": done.spent.source}
        if state == "LOST":
            log.warning("run %s: lease lost", run.uid)
            return
        if state == "FAILED" and done.again and run.losses + 1 < self._settings.max_attempts:
            state, delay, lost = "QUEUED", pause(run.uid, run.losses + 1), True
        if state == "QUEUED":
            fields["message"] = f"to be tried again: {done.error_message}"
        elif state == "FAILED":
            fields |= {"error_code": done.error_code, "error_message": done.error_message}
        elif state == "SUCCEEDED":
            reach("committed")
            fields |= {"progress": 1.0}
        moved = await runs.transition(
            self._gateway, run.uid, "RUNNING", state, run.lease_token, delay=delay, lost=lost, **fields
        )
        log.info("run %s: %s", run.uid, state if moved else "lease lost")
        await self._certify()


async def work(settings: Settings, capability: str, *, only: str | None = None) -> None:
    """Run one worker until SIGTERM or SIGINT."""
    async with Gateway.open(settings) as gateway:
        await require_current(gateway)
        worker = Worker(gateway, settings, capability, only=only)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, worker.end)
        await worker.run()


def main() -> None:
    """`python -m resolvers.worker CAPABILITY PARENT`, started by `resolvers.supervisor`."""
    end_with_parent(int(sys.argv[2]))
    settings = Settings()
    log_to_stderr(settings)
    asyncio.run(work(settings, sys.argv[1]))


if __name__ == "__main__":
    main()
