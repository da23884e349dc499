"""Runs on coupling graphs, worked in the test's own process."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from graph.queries import runs
from graph.queries.runs import RunRow
from resolvers.services.context import Services
from resolvers.task import Task

# two gates that are held together, one of which a benefit opens; its minimum is known
GRAPH: dict[str, Any] = {
    "modules": [
        {"key": "a", "kind": "gating", "params": {"a": 0.2, "b": 0.3}},
        {"key": "b", "kind": "gating", "params": {"a": 0.25, "b": 0.35}},
    ],
    "couplings": [
        {"kind": "quadratic", "from": "a", "to": "b", "params": {"weight": 0.7}},
        {"kind": "gate_benefit", "from": "b", "to": "a", "params": {"weight": 0.8}, "delta": "domain"},
    ],
    "deltas": {"domain": 0.08},
}


async def leased(services: Services, submitted: RunRow) -> tuple[RunRow, Task]:
    """The run as a worker has it that begins."""
    claim = {"capability": "interactive", "worker": "test", "lease_seconds": 60, "only": submitted.uid}
    (row,) = await runs.claim(services.gateway, **claim)
    await runs.transition(services.gateway, row.uid, "LEASED", "RUNNING", row.lease_token)
    return row, Task(services.gateway, row)


async def worked(services: Services, service: ModuleType, submitted: RunRow) -> RunRow:
    """The run, worked to its end."""
    row, task = await leased(services, submitted)
    await service.execute(services, row, task)
    ended = await runs.transition(services.gateway, row.uid, "RUNNING", "SUCCEEDED", row.lease_token)
    assert ended is not None
    return ended
