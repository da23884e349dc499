"""The fence: a worker whose lease was taken away can no longer write.

Every transaction that writes on behalf of a Run begins with `fence`. It takes the Run's lock before it looks at the
token, so that nobody can reap the lease until the transaction has committed.
Reference: Kleppmann, "How to do distributed locking" (2016), fencing tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from neo4j import AsyncManagedTransaction

from graph.errors import GraphError


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write for a run: its uid and the token that the claim gave."""

    run: str
    token: str


class LeaseLost(GraphError):
    """Another worker owns the run, or it has ended: whatever this one still wants to write is void."""

    exit_code = 3

    def __init__(self, run: str) -> None:
        super().__init__(
            "LEASE_LOST",
            f"expected to hold the lease of run {run!r}, got a lease that expired, was taken over or has ended.",
            next_step="Stop this attempt; the run goes on elsewhere.",
        )
        self.run = run


FENCE: LiteralString = """
MATCH (r:Run {uid: $run})
SET r.touched_at = datetime()
WITH r WHERE r.lease_token = $lease_token AND r.state IN ['LEASED', 'RUNNING']
RETURN r.uid AS uid
"""


async def fence(tx: AsyncManagedTransaction, lease: Lease) -> None:
    """Hold the run's lock until `tx` ends; raises LeaseLost where the lease is another's."""
    result = await tx.run(FENCE, run=lease.run, lease_token=lease.token)
    if await result.single() is None:
        raise LeaseLost(lease.run)
