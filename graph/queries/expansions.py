"""Expansions: what each candidate would do to a coupling graph, and the graph with those that survive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from neo4j import AsyncManagedTransaction

from graph.gateway import Gateway
from graph.identity import coupling_graph_uid, expansion_candidate_uid
from graph.queries import coupling
from graph.queries.leases import Lease, fence


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRow:
    """A candidate as it was weighed."""

    uid: str
    run: str
    key: str
    index: int
    energy_before: float
    energy_after: float
    delta: float
    accepted: bool
    survives: bool
    # key of the order parameter that gains most by it
    parent: str | None


async def record(
    gateway: Gateway,
    lease: Lease,
    *,
    name: str,
    digest: str,
    result: Mapping[str, Any],
    candidates: Sequence[Mapping[str, Any]],
    additions: Mapping[str, Any] | None,
) -> None:
    """Write how candidates fared, all or nothing.

    `additions` are the modules, couplings and deltas that the graph shall have beside its own; None leaves it. Raises
    LeaseLost, and Conflict where a graph that has changed since should be expanded. A second attempt finds the graph
    expanded by the first, and leaves it.
    """
    rows = [
        {
            "uid": expansion_candidate_uid(lease.run, each["key"]),
            "parent": each["parent"],
            "properties": {key: value for key, value in each.items() if key != "parent"},
        }
        for each in candidates
    ]

    async def work(tx: AsyncManagedTransaction) -> None:
        await fence(tx, lease)
        before = await (await tx.run(BEFORE, run=lease.run)).single(strict=True)
        version = before["version"]
        if additions is not None and version is None:
            uid = coupling_graph_uid(name)
            await (await tx.run(coupling.LOCK, name=name, uid=uid, title=None)).consume()
            now = await coupling.require_unchanged(tx, name, digest)
            await coupling.write(tx, name, coupling.with_additions(now, additions), before=now, source=lease.run)
            version = now.version + 1
        whole = {**result, "applied": additions is not None, "version": version}
        await (await tx.run(RECORD, run=lease.run, name=name, result=whole, candidates=rows)).consume()

    await gateway.transact(work)


async def candidates_of(gateway: Gateway, run: str, *, limit: int = 200) -> list[CandidateRow]:
    """The candidates that a run has weighed, in their order."""
    return [CandidateRow(**row["candidate"]) for row in await gateway.read(LIST, run=run, limit=limit)]


BEFORE: LiteralString = "MATCH (r:Run {uid: $run}) RETURN r.version AS version"

RECORD: LiteralString = """
MATCH (r:Run {uid: $run})
MATCH (g:CouplingGraph {name: $name})
SET r += $result
MERGE (r)-[:EXPANDS]->(g)
WITH r, g
UNWIND $candidates AS candidate
MERGE (c:ExpansionCandidate {uid: candidate.uid})
SET c += candidate.properties, c.run = $run
MERGE (r)-[:WEIGHS]->(c)
WITH r, g, c, candidate
OPTIONAL MATCH (g)-[:HAS_MODULE]->(parent:OrderParameter {key: candidate.parent})
OPTIONAL MATCH (g)-[:HAS_MODULE]->(same:OrderParameter {key: c.key})
FOREACH (_ IN CASE WHEN parent IS NULL THEN [] ELSE [1] END | MERGE (c)-[:PARENT]->(parent))
FOREACH (_ IN CASE WHEN r.applied AND c.survives AND same IS NOT NULL THEN [1] ELSE [] END
  | MERGE (c)-[:BECAME]->(same))
"""

LIST: LiteralString = """
MATCH (:Run {uid: $run})-[:WEIGHS]->(c:ExpansionCandidate)
OPTIONAL MATCH (c)-[:PARENT]->(p:OrderParameter)
RETURN c {.uid, .run, .key, .index, .energy_before, .energy_after, .delta, .accepted, .survives, parent: p.key}
  AS candidate
ORDER BY c.index LIMIT $limit
"""
