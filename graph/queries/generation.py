"""Generation runs: which sequences a run stands for, made by it or found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

from neo4j import AsyncManagedTransaction

from graph.gateway import Gateway
from graph.queries.leases import Lease, fence

_FOUND: LiteralString = """
MATCH (r:Run {uid: $run})
UNWIND $sequences AS uid
MATCH (s:Sequence {uid: uid})
MERGE (s)-[made:WAS_GENERATED_BY]->(r)
ON CREATE SET made.found = true
RETURN count(s) AS found
"""


async def record_found(gateway: Gateway, lease: Lease, *, sequences: Sequence[str]) -> int:
    """Link sequences that were there, frame by frame as the run would have made them, to the run; marked `found`.

    A link of the run that did make them stays as it is. Raises LeaseLost.
    """

    async def work(tx: AsyncManagedTransaction) -> int:
        await fence(tx, lease)
        row = await (await tx.run(_FOUND, run=lease.run, sequences=list(sequences))).single(strict=True)
        return int(row["found"])

    return await gateway.transact(work)
