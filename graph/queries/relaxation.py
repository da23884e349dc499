"""Relaxations: the trail of a run in one transaction, and its steps in order.

A step's uid is that of (run, index): a second attempt writes the same nodes again. Writing η back is refused where the
graph is not any more what was relaxed.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString

from neo4j import AsyncManagedTransaction

from graph.gateway import Gateway
from graph.identity import gate_event_uid, relaxation_step_uid
from graph.queries import module_events
from graph.queries.coupling import require_unchanged
from graph.queries.leases import Lease, fence


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """A kept step of a relaxation; lists are in the order of the run's keys and terms."""

    uid: str
    run: str
    index: int
    energy: float
    gain: float
    scale: float
    gradient_norm: float
    step: float
    backtracks: int
    noise: float
    accepted: bool
    margin: float | None
    eta: list[float]
    term_energy: list[float]
    term_norm: list[float]
    objective_version: int = 0
    weights: list[float] = field(default_factory=list)
    events: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """How a relaxation ended; all None until it has."""

    status: str | None
    initial_energy: float | None
    energy: float | None
    residual: float | None
    steps: int | None
    accepted: int | None
    rejected: int | None
    backtracks: int | None
    delta_f90: int | None
    primal_residual: float | None
    dual_residual: float | None
    switches: int | None
    wall_seconds: float | None
    written_back: bool | None
    spent: float | None
    budget: float | None
    snapped_energy: float | None
    graph_name: str | None
    graph_digest: str | None
    keys: list[str] | None
    terms: list[str] | None
    eta: list[float] | None


async def record(
    gateway: Gateway,
    lease: Lease,
    *,
    name: str,
    digest: str,
    result: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    eta: Mapping[str, float],
    gates: Sequence[Mapping[str, Any]],
    write_back: bool,
) -> None:
    """Write what a relaxation found, all or nothing; `write_back` also moves the order parameters there.

    `gates` say what became of each gate, `after` by key which had to open first. Raises LeaseLost, and Conflict where
    η should be written back to a graph whose `digest` has changed since.
    """
    nodes = [{"uid": relaxation_step_uid(lease.run, step["index"]), "properties": dict(step)} for step in steps]
    decisions = [
        {
            "uid": gate_event_uid(lease.run, gate["key"]),
            "after": [gate_event_uid(lease.run, key) for key in gate["after"]],
            "properties": {name: value for name, value in gate.items() if name != "after"},
        }
        for gate in gates
    ]

    async def work(tx: AsyncManagedTransaction) -> None:
        await fence(tx, lease)
        before_us = await (await tx.run(RECORDED, run=lease.run)).single(strict=True)
        if before_us["recorded"]:
            return  # by an attempt that was lost after it; what has happened to the graph since is not undone
        if write_back:
            # lock by writing, then look: nobody can draw in between
            moved = await tx.run(MOVE, name=name, run=lease.run, settled=dict(eta))
            before = {row["key"]: row["before"] async for row in moved}
            await require_unchanged(tx, name, digest)
            await module_events.add(tx, name, module_events.moves(before, eta), source=lease.run)
        await (await tx.run(RECORD, run=lease.run, name=name, result=dict(result))).consume()
        await (await tx.run(STEPS, run=lease.run, steps=nodes)).consume()
        pairs = [[a["uid"], b["uid"]] for a, b in itertools.pairwise(nodes)]
        await (await tx.run(CHAIN, run=lease.run, first=nodes[0]["uid"], pairs=pairs)).consume()
        await (await tx.run(SETTLE, run=lease.run, name=name, settled=dict(eta))).consume()
        await (await tx.run(DECIDE, run=lease.run, name=name, gates=decisions)).consume()
        events = {gate["key"]: gate_event_uid(lease.run, gate["key"]) for gate in gates}
        await (await tx.run(OF_GATES, name=name, events=events)).consume()

    await gateway.transact(work)


async def steps_of(gateway: Gateway, run: str, *, limit: int, after: int = -1) -> list[StepRow]:
    """The kept steps of a relaxation whose index is beyond `after`, in order."""
    rows = await gateway.read(LIST, run=run, after=after, limit=limit)
    return [StepRow(**row["step"]) for row in rows]


async def result_of(gateway: Gateway, run: str) -> ResultRow | None:
    """How the relaxation of this run ended; None where there is no such run."""
    rows = await gateway.read(RESULT, run=run)
    return ResultRow(**rows[0]["result"]) if rows else None


RECORDED: LiteralString = "MATCH (r:Run {uid: $run}) RETURN r.status IS NOT NULL AS recorded"

RECORD: LiteralString = """
MATCH (r:Run {uid: $run})
SET r += $result
WITH r
MATCH (g:CouplingGraph {name: $name})
MERGE (r)-[:RELAXES]->(g)
"""

STEPS: LiteralString = """
UNWIND $steps AS step
MERGE (s:RelaxationStep {uid: step.uid})
SET s += step.properties, s.run = $run
"""

CHAIN: LiteralString = """
MATCH (r:Run {uid: $run})
MATCH (first:RelaxationStep {uid: $first})
MERGE (r)-[:FIRST_STEP]->(first)
WITH r
UNWIND $pairs AS pair
MATCH (a:RelaxationStep {uid: pair[0]})
MATCH (b:RelaxationStep {uid: pair[1]})
MERGE (a)-[:THEN]->(b)
"""

SETTLE: LiteralString = """
MATCH (r:Run {uid: $run})
MATCH (:CouplingGraph {name: $name})-[:HAS_MODULE]->(p:OrderParameter) WHERE $settled[p.key] IS NOT NULL
MERGE (r)-[there:SETTLED_AT]->(p)
SET there.eta = $settled[p.key]
"""

MOVE: LiteralString = """
MATCH (g:CouplingGraph {name: $name})
SET g.touched_at = datetime()
WITH g
MATCH (g)-[:HAS_MODULE]->(p:OrderParameter) WHERE $settled[p.key] IS NOT NULL
WITH p, p.eta AS before
SET p.eta = $settled[p.key], p.eta_source = $run
RETURN p.key AS key, before
"""

DECIDE: LiteralString = """
MATCH (r:Run {uid: $run})
UNWIND $gates AS gate
MERGE (e:GateEvent {uid: gate.uid})
ON CREATE SET e.at = datetime()
SET e += gate.properties, e.run = $run, e.graph = $name
MERGE (r)-[:DECIDED]->(e)
WITH collect([e, gate.after]) AS decided
UNWIND decided AS each
WITH each[0] AS e, each[1] AS after
UNWIND after AS parent
MATCH (f:GateEvent {uid: parent})
MERGE (e)-[:PARENT]->(f)
"""

OF_GATES: LiteralString = """
MATCH (:CouplingGraph {name: $name})-[:HAS_MODULE]->(p:OrderParameter) WHERE $events[p.key] IS NOT NULL
MATCH (e:GateEvent {uid: $events[p.key]})
MERGE (e)-[:OF_GATE]->(p)
"""

LIST: LiteralString = """
MATCH (s:RelaxationStep) WHERE s.run = $run AND s.index > $after
RETURN s {.uid, .run, .index, .energy, .gain, .scale, .gradient_norm, .step, .backtracks, .noise, .accepted, .margin,
  .eta, .term_energy, .term_norm, objective_version: coalesce(s.objective_version, 0), weights: coalesce(s.weights, []),
  events: coalesce(s.events, [])} AS step
ORDER BY s.run, s.index LIMIT $limit
"""

RESULT: LiteralString = """
MATCH (r:Run {uid: $run})
RETURN r {.status, .initial_energy, .energy, .residual, .steps, .accepted, .rejected, .backtracks, .delta_f90,
  .primal_residual, .dual_residual, .switches, .wall_seconds, .written_back, .spent, .budget, .snapped_energy,
  .graph_name, .graph_digest, .keys, .terms, .eta} AS result
LIMIT 1
"""
