"""What relaxations decided of gates, and what that turned out to be worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from neo4j import AsyncManagedTransaction

from graph.errors import NotFound
from graph.gateway import Gateway
from graph.identity import gate_event_uid
from graph.queries.rows import native


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """A decision; `realised` is None until somebody has measured it."""

    uid: str
    run: str
    graph: str
    key: str
    eta: float
    net: float
    hazard: float
    benefit: float
    cost: float
    opened: bool
    refusal: str | None
    at: datetime
    realised: float | None
    realised_at: datetime | None


async def decisions(gateway: Gateway, run: str, *, limit: int = 1000) -> list[GateRow]:
    """What a relaxation decided, by key."""
    rows = await gateway.read(DECISIONS, run=run, limit=limit)
    return [GateRow(**native(row["gate"])) for row in rows]


async def realise(gateway: Gateway, run: str, benefits: Mapping[str, float]) -> list[GateRow]:
    """Record what gates turned out to be worth, by key: all of them or, where one is unknown, none (NotFound)."""
    rows = [{"uid": gate_event_uid(run, key), "key": key, "realised": value} for key, value in benefits.items()]

    async def work(tx: AsyncManagedTransaction) -> None:
        result = await tx.run(REALISE, rows=rows)
        found = {record["key"] async for record in result}
        if unknown := sorted(set(benefits) - found):
            raise NotFound("GateEvent", unknown[0], next_step=f"Name gates that run {run!r} decided.")

    await gateway.transact(work)
    return await decisions(gateway, run)


REALISE: LiteralString = """
UNWIND $rows AS row
MATCH (e:GateEvent {uid: row.uid})
SET e.realised = row.realised, e.realised_at = datetime()
RETURN row.key AS key
"""

DECISIONS: LiteralString = """
MATCH (:Run {uid: $run})-[:DECIDED]->(e:GateEvent)
RETURN e {.uid, .run, .graph, .key, .eta, .net, .hazard, .benefit, .cost, .opened, .refusal, .at, .realised,
  .realised_at} AS gate
ORDER BY e.key LIMIT $limit
"""
