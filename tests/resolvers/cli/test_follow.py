"""A command that waits for a run sees its end, whoever was to work it."""

from __future__ import annotations

import asyncio

import pytest

from graph.errors import GraphError
from graph.queries import runs
from resolvers.cli.follow import finish
from resolvers.services.context import Services
from tests.graph.queries import builders

pytestmark = pytest.mark.db


async def test_a_run_whose_worker_was_killed_is_worked_here(services: Services) -> None:
    gateway = services.gateway
    run = await builders.submit(gateway, kind="ace", capability="orchestration", config={})
    await runs.claim(gateway, capability="orchestration", worker="killed", lease_seconds=1.0, only=run.uid, limit=1)
    left = await runs.run(gateway, run.uid)
    assert left.state == "LEASED"
    async with asyncio.timeout(60):
        # a run that says nothing of what is to be done fails where it is worked
        with pytest.raises(GraphError, match="failed"):
            await finish(services, left)
    assert (await runs.run(gateway, run.uid)).attempt == 2
