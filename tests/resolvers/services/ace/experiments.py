"""Experiments worked in the test's own process: the orchestrator beside a worker of what it asks for."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from graph.queries import ace as stages
from graph.queries import runs
from graph.queries.runs import RunRow
from resolvers.energy.spent import ESTIMATED
from resolvers.services import ace
from resolvers.services.ace_request import AceRequest, submit_ace
from resolvers.services.context import Services
from resolvers.task import Task
from tests.resolvers.working import leased, worked

JOULES = 10.0
"""What each child is said to have taken."""


async def spawned(services: Services, text: str, **asked: Any) -> RunRow:
    """The experiment, QUEUED."""
    return await submit_ace(services, AceRequest(text=text, **asked))


async def ended(services: Services, run: RunRow) -> RunRow:
    """The experiment at its end, SUCCEEDED; what a stage raises is raised."""
    running = await leased(services, run, lease_seconds=600.0)
    await orchestrated(services, running)
    return await succeeded(services, running)


async def succeeded(services: Services, running: RunRow) -> RunRow:
    """As its worker writes it."""
    took = {"energy_joules": 1.0, "energy_source": ESTIMATED}
    done = await runs.transition(services.gateway, running.uid, "RUNNING", "SUCCEEDED", running.lease_token, **took)
    assert done is not None
    return done


async def orchestrated(services: Services, running: RunRow) -> None:
    """One attempt: the stages that are left, while whatever they ask for is worked."""
    serving = asyncio.create_task(_serve(services, running.uid))
    working = asyncio.create_task(ace.execute(services, running, Task(services.gateway, running)))
    try:
        # whichever fails first is raised
        await asyncio.wait({serving, working}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        await working
    finally:
        for task in (serving, working):
            task.cancel()
        await asyncio.gather(serving, working, return_exceptions=True)


async def _serve(services: Services, parent: str) -> None:
    while True:
        for child in await runs.children(services.gateway, parent):
            if child.state == "QUEUED":
                await worked(services, child, energy_joules=JOULES)
        await asyncio.sleep(0.1)


async def children(services: Services, run: str) -> Counter[str]:
    """How many runs of each kind are part of it."""
    return Counter(child.kind for child in await runs.children(services.gateway, run))


async def outputs(services: Services, run: str) -> dict[str, Any]:
    """What came of each stage, of the last round."""
    return {stage.name: stage.outputs for stage in await stages.stages(services.gateway, run)}
