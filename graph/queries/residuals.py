"""The laws along a prediction: totals and entropies lead by lead, and the truth where it came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from neo4j import AsyncManagedTransaction

from graph.errors import NotFound
from graph.gateway import Gateway
from graph.identity import coupling_graph_uid
from graph.queries import coupling, drawing


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One predicted state, the mean of an ensemble."""

    uid: str
    lead: int
    total_energy: float
    # nats; None where the field is signed
    entropy: float | None
    cells: int
    # of what truly came
    true_energy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A prediction from its start on."""

    closed: bool
    second_law: bool
    total_energy: float
    entropy: float | None
    states: tuple[State, ...]


async def course(gateway: Gateway, prediction: str) -> Course:
    """The course of a prediction; raises NotFound."""
    rows = await gateway.read(COURSE, prediction=prediction)
    if not rows:
        raise NotFound("Prediction", prediction, next_step="`fieldgraph predict` makes them.")
    states = tuple(State(**state) for state in sorted(rows[0]["states"], key=lambda state: state["lead"]))
    return Course(**{**rows[0]["start"], "states": states})


async def draw(
    gateway: Gateway,
    name: str,
    description: Mapping[str, Any],
    *,
    measured: Sequence[tuple[str, str, float]],
    title: str,
) -> drawing.Drawn:
    """Write a graph whose order parameters measure snapshots: (key, uid of the snapshot, η as measured)."""
    coupling.require_name(name)
    rows = [{"key": key, "snapshot": snapshot, "eta": eta} for key, snapshot, eta in measured]

    async def work(tx: AsyncManagedTransaction) -> drawing.Drawn:
        await (await tx.run(coupling.LOCK, name=name, uid=coupling_graph_uid(name), title=title)).consume()
        before = drawing.of_row((await (await tx.run(drawing.READ, name=name)).single(strict=True)).data())
        if before.version == 0 or before.description != drawing.as_read(description):
            await coupling.write(tx, name, description, before=before)
        await (await tx.run(MEASURE, name=name, rows=rows)).consume()
        return drawing.of_row((await (await tx.run(drawing.READ, name=name)).single(strict=True)).data())

    return await gateway.transact(work)


COURSE: LiteralString = """
MATCH (p:Prediction {uid: $prediction})-[:FROM]->(start:EnergySnapshot)
MATCH (d:Domain {name: p.domain})
RETURN {closed: d.closed, second_law: d.second_law, total_energy: start.total_energy, entropy: start.entropy} AS start,
  COLLECT { MATCH (p)-[link:PREDICTS]->(e:Predicted) WHERE e.member IS NULL
            RETURN {uid: e.uid, lead: link.lead, total_energy: e.total_energy, entropy: e.entropy,
              cells: e.height * e.width,
              true_energy: COLLECT { MATCH (e)-[:ESTIMATES]->(t:EnergySnapshot) RETURN t.total_energy LIMIT 1 }[0]}
          } AS states
LIMIT 1
"""

MEASURE: LiteralString = """
MATCH (g:CouplingGraph {name: $name})
UNWIND $rows AS row
MATCH (g)-[:HAS_MODULE]->(p:OrderParameter {key: row.key})
MATCH (e:EnergySnapshot {uid: row.snapshot})
MERGE (p)-[:MEASURES]->(e)
SET p.eta = row.eta, p.eta_source = 'measured'
"""
