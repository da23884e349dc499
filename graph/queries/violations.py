"""Violations: which laws a prediction breaks, at which lead and by how much.

    (Prediction {violation_count})-[:VIOLATES]->(:Violation {law, lead, value, limit})-[:AT]->(Ê)

They are written with the prediction, by its transaction; a count of 0 says that all laws were checked and held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import LiteralString

from neo4j import AsyncManagedTransaction

from graph import identity
from graph.gateway import Gateway
from graph.queries.numbers import finite
from graph.queries.rows import native


@dataclass(frozen=True, slots=True, kw_only=True)
class NewViolation:
    """One law that one step breaks."""

    law: str
    lead: int
    # None for the mean
    member: int | None = None
    value: float
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationRow:
    """A violation and where it happened."""

    uid: str
    prediction: str
    domain: str
    law: str
    lead: int
    member: int | None
    # None where it is infinite or no number
    value: float | None
    limit: float
    created_at: datetime
    # uid of the predicted state; None for a member whose states are not kept
    snapshot: str | None


async def add_violations(tx: AsyncManagedTransaction, prediction: str, violations: Sequence[NewViolation]) -> None:
    """Write what a new prediction violates; its states must be there."""
    rows = [
        {
            "uid": identity.event_uid(),
            "state": identity.predicted_uid(prediction, violation.lead, violation.member),
            "properties": finite(asdict(violation)),
        }
        for violation in violations
    ]
    await (await tx.run(_ADD, prediction=prediction, rows=rows, count=len(rows))).consume()


async def violations(gateway: Gateway, prediction: str, *, limit: int = 1000) -> list[ViolationRow]:
    """What a prediction violates, by lead."""
    rows = await gateway.read(_OF_PREDICTION, prediction=prediction, limit=limit)
    return [ViolationRow(**native(row["violation"])) for row in rows]


_ADD: LiteralString = """
MATCH (p:Prediction {uid: $prediction})
SET p.violation_count = $count
WITH p
UNWIND $rows AS row
CREATE (p)-[:VIOLATES]->(v:Violation {uid: row.uid, prediction: p.uid, domain: p.domain, created_at: p.created_at})
SET v += row.properties
WITH v, row
MATCH (e:EnergySnapshot {uid: row.state})
CREATE (v)-[:AT]->(e)
"""

_OF_PREDICTION: LiteralString = """
MATCH (:Prediction {uid: $prediction})-[:VIOLATES]->(v:Violation)
OPTIONAL MATCH (v)-[:AT]->(e:Predicted)
RETURN v {.uid, .prediction, .domain, .law, .lead, .member, .value, .limit, .created_at, snapshot: e.uid} AS violation
ORDER BY v.lead, v.uid LIMIT $limit
"""
