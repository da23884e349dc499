"""One migration runner at a time: a lock node that only one can create, because its name is unique.

The holder renews it; one that died leaves a lock that expires by the database's own clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final
from uuid import uuid4

from graph.errors import Conflict, GraphError, Outage
from graph.gateway import Gateway

LOCK_SECONDS = 30  # a lock not renewed for so long is dead
PATIENCE_SECONDS = 300.0  # how long to wait for a living holder

CONSTRAINT: Final = """
CREATE CONSTRAINT unique_name___Neo4jMigrationsLock IF NOT EXISTS
FOR (lock:__Neo4jMigrationsLock) REQUIRE lock.name IS UNIQUE
"""
BURY: Final = """
MATCH (lock:__Neo4jMigrationsLock {name: 'fieldgraph'}) WHERE lock.until < datetime()
DELETE lock
"""
TAKE: Final = """
CREATE (:__Neo4jMigrationsLock {
  name: 'fieldgraph', id: $holder, until: datetime() + duration({seconds: $seconds})
})
"""
RENEW: Final = """
MATCH (lock:__Neo4jMigrationsLock {name: 'fieldgraph', id: $holder})
SET lock.until = datetime() + duration({seconds: $seconds})
"""
RELEASE: Final = """
MATCH (lock:__Neo4jMigrationsLock {name: 'fieldgraph', id: $holder})
DELETE lock
"""


@asynccontextmanager
async def migration_lock(gateway: Gateway, *, seconds: int = LOCK_SECONDS) -> AsyncIterator[str]:
    """Hold the lock; yields the holder's id, which fences what it writes.

    Raises:
        Outage: code MIGRATION_LOCKED, where another runner holds the lock for too long.
    """
    await create_constraint(gateway, CONSTRAINT)
    holder = str(uuid4())
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        await gateway.write(BURY)
        try:
            await gateway.write(TAKE, holder=holder, seconds=seconds)
            break
        except Conflict:
            if time.monotonic() > deadline:
                raise Outage(
                    "MIGRATION_LOCKED",
                    f"another migration has been running for more than {PATIENCE_SECONDS:.0f} s.",
                    next_step="Wait for it, then run `fieldgraph migrate` again.",
                ) from None
            await asyncio.sleep(0.2)
    renewal = asyncio.create_task(_renew(gateway, holder, seconds))
    try:
        yield holder
    finally:
        renewal.cancel()
        with suppress(asyncio.CancelledError, GraphError):
            await renewal
        await gateway.write(RELEASE, holder=holder)


async def create_constraint(gateway: Gateway, statement: str) -> None:
    """Create a constraint if it is not there; of two at once, the second finds the first one's."""
    with suppress(Conflict):
        await gateway.execute_schema(statement)


async def _renew(gateway: Gateway, holder: str, seconds: int) -> None:
    while True:
        await asyncio.sleep(seconds / 3)
        await gateway.write(RENEW, holder=holder, seconds=seconds)
