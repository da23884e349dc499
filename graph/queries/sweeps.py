"""Sweeps: the points of a grid, written piece by piece under the run's lease and read back in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from neo4j import AsyncManagedTransaction

from graph.gateway import Gateway
from graph.identity import sweep_point_uid
from graph.queries.leases import Lease, fence


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRow:
    """Where the graph settled at one point; lists are in the order of the run's axes and keys."""

    uid: str
    run: str
    index: int
    at: list[float]
    status: str
    initial_energy: float
    energy: float | None
    residual: float | None
    steps: int
    eta: list[float]


async def add_points(gateway: Gateway, lease: Lease, points: Sequence[Mapping[str, Any]]) -> None:
    """Write some points; the same again changes nothing. Raises LeaseLost."""
    rows = [{"uid": sweep_point_uid(lease.run, point["index"]), "properties": dict(point)} for point in points]

    async def work(tx: AsyncManagedTransaction) -> None:
        await fence(tx, lease)
        await (await tx.run(ADD, run=lease.run, points=rows)).consume()

    await gateway.transact(work)


async def finish(gateway: Gateway, lease: Lease, *, name: str, result: Mapping[str, Any]) -> None:
    """Say what the sweep found as a whole. Raises LeaseLost."""

    async def work(tx: AsyncManagedTransaction) -> None:
        await fence(tx, lease)
        await (await tx.run(FINISH, run=lease.run, name=name, result=dict(result))).consume()

    await gateway.transact(work)


async def points_of(gateway: Gateway, run: str, *, limit: int, after: int = -1) -> list[PointRow]:
    """The points of a sweep whose index is beyond `after`, in order."""
    return [PointRow(**row["point"]) for row in await gateway.read(LIST, run=run, after=after, limit=limit)]


ADD: LiteralString = """
MATCH (r:Run {uid: $run})
UNWIND $points AS point
MERGE (p:SweepPoint {uid: point.uid})
SET p += point.properties, p.run = $run
MERGE (r)-[:HAS_POINT]->(p)
"""

FINISH: LiteralString = """
MATCH (r:Run {uid: $run})
SET r += $result
WITH r
MATCH (g:CouplingGraph {name: $name})
MERGE (r)-[:SWEEPS]->(g)
"""

LIST: LiteralString = """
MATCH (p:SweepPoint) WHERE p.run = $run AND p.index > $after
RETURN p {.uid, .run, .index, .at, .status, .initial_energy, .energy, .residual, .steps, .eta} AS point
ORDER BY p.run, p.index LIMIT $limit
"""
