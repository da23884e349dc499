"""Looks at runs ten times a second: who held them, how they ended, and whether a lost lease still opens a door."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from graph.errors import GraphError, Outage
from graph.gateway import Gateway
from graph.queries import runs, training
from graph.queries.leases import Lease
from graph.queries.run_rows import TERMINAL_STATES

LOOK_SECONDS = 0.1
NOWHERE = "runs/nobody/best-00000000"


@dataclass(frozen=True, slots=True)
class Request:
    """A run to ask for."""

    kind: str
    document: str
    given: Mapping[str, Any]


@dataclass(slots=True)
class Watch:
    """What was seen of the runs that were acknowledged."""

    gateway: Gateway
    # by uid: what was asked for, the state as last seen, the leases in their order, the ends that were seen
    asked: dict[str, Request] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    leases: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    ends: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    attempts: dict[str, int] = field(default_factory=dict)
    # writes tried with a lease that is another's by now, and those that came through
    stale_tried: int = 0
    stale_written: list[str] = field(default_factory=list)

    async def run(self, ending: asyncio.Event) -> None:
        """Look until `ending`; an outage of Neo4j is waited out."""
        while not ending.is_set():
            with suppress(Outage):
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look once, and try each door with a key that was just taken away."""
        for row in await runs.watch(self.gateway, list(self.asked)):
            self.states[row.uid], self.attempts[row.uid] = row.state, row.attempt
            if row.state in TERMINAL_STATES:
                self.ends[row.uid].add(row.state)
            known = self.leases[row.uid]
            if row.lease_token is not None and row.lease_token not in known:
                known.append(row.lease_token)
                if len(known) > 1:
                    await self._try_stale(Lease(row.uid, known[-2]))

    async def _try_stale(self, lease: Lease) -> None:
        """Every write of a worker, by one who has lost the run to another."""
        gateway, run = self.gateway, lease.run
        numbers = {"val_fidelity": 1.0}
        doors = {
            "heartbeat": runs.heartbeat(gateway, run, lease.token, 60.0),
            "report": runs.report(gateway, run, lease.token, 1.0, "stale"),
            "transition": runs.transition(gateway, run, "RUNNING", "SUCCEEDED", lease.token),
            "epoch": training.record_epoch(gateway, lease, epoch=999, step=999, metrics={}),
            "checkpoint": training.record_checkpoint(
                gateway, lease, model="nobody", step=999, epoch=999, uri=NOWHERE, sha256="0" * 64, metrics=numbers
            ),
        }
        for name, door in doors.items():
            self.stale_tried += 1
            try:
                came_through = await door is not None
            except Outage:
                self.stale_tried -= 1
                came_through = False
            except GraphError as error:
                came_through = error.code != "LEASE_LOST"
            if came_through:
                self.stale_written.append(f"{name} of {run}")

    def running(self, kind: str) -> list[str]:
        """Runs of this kind that somebody works at, as last seen."""
        return [uid for uid, state in self.states.items() if state == "RUNNING" and self.asked[uid].kind == kind]

    def unfinished(self) -> list[str]:
        """Runs that have not ended, as last seen."""
        return [uid for uid in self.asked if self.states.get(uid) not in TERMINAL_STATES]

    def taken_over(self) -> list[str]:
        """Runs that needed more than one attempt."""
        return [uid for uid, attempt in self.attempts.items() if attempt > 1]
