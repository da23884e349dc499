"""The whole service for the length of a block: the API and both workers, as `fieldgraph serve` starts them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from graph.errors import Outage
from graph.settings import Settings
from resolvers import supervisor
from resolvers.supervisor import Supervisor

READY_SECONDS = 60.0  # for the API to answer after its process has begun
LOOK_SECONDS = 0.1


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[str]:
    """The address of a service over a migrated graph; its processes end with the block.

    Raises Outage where the port is taken or the API does not come up.
    """
    with supervisor.listen(settings) as listener:
        host, port = listener.getsockname()[:2]
        url = f"http://{host}:{port}"
        ours = Supervisor(settings)
        running = asyncio.create_task(ours.run(listener, on_start=lambda: None))
        try:
            await until_ready(url)
            yield url
        finally:
            ours.end()
            await running


async def until_ready(url: str, *, seconds: float = READY_SECONDS) -> None:
    """Wait until the API answers and Neo4j answers it; raises Outage where they do not within `seconds`."""
    async with httpx.AsyncClient() as http:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if (await http.get(f"{url}/readyz")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(LOOK_SECONDS)
    raise Outage(
        "API_NOT_READY",
        f"expected the API to answer within {seconds:.0f} s, got nothing.",
        next_step="See `fieldgraph doctor`.",
    )
