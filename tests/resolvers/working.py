"""Working a run inside the test's own process: what the child does, without the child."""

from __future__ import annotations

from importlib import import_module

from graph.queries import runs
from graph.queries.runs import RunRow
from resolvers.child import SERVICES
from resolvers.energy.spent import ESTIMATED
from resolvers.services.context import Services
from resolvers.task import Task


async def leased(services: Services, run: RunRow, *, lease_seconds: float = 30.0) -> RunRow:
    """The run, claimed and RUNNING."""
    (claimed,) = await runs.claim(
        services.gateway, capability=run.capability, worker="test", lease_seconds=lease_seconds, only=run.uid
    )
    running = await runs.transition(services.gateway, run.uid, "LEASED", "RUNNING", claimed.lease_token)
    assert running is not None
    return running


async def worked(services: Services, run: RunRow, *, energy_joules: float | None = None) -> RunRow:
    """The run, SUCCEEDED, with what it is said to have taken; what its service raises is raised."""
    running = await leased(services, run)
    await import_module(SERVICES[run.kind]).execute(services, running, Task(services.gateway, running))
    took = {} if energy_joules is None else {"energy_joules": energy_joules, "energy_source": ESTIMATED}
    done = await runs.transition(services.gateway, run.uid, "RUNNING", "SUCCEEDED", running.lease_token, **took)
    assert done is not None
    return done
