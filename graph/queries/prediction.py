"""Predictions: what a checkpoint says will follow a state, chained beside what did follow.

    (E_t)-[:EVOLVES_TO {lead: 1}]->(Ê_1)-[:EVOLVES_TO {lead: 2}]->(Ê_2) …        (Ê_k)-[:ESTIMATES]->(E_{t+k})

One transaction per prediction, fenced by the run's lease; a repeated attempt finds the first one's.
Truth that is ingested later is linked when it comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString

from neo4j import AsyncManagedTransaction

from graph import identity
from graph.errors import GraphError, NotFound
from graph.gateway import Gateway
from graph.queries.leases import Lease, fence
from graph.queries.numbers import finite
from graph.queries.rows import native
from graph.queries.states import NewState
from graph.queries.violations import NewViolation, ViolationRow, add_violations
from graph.queries.violations import violations as violations_of

SCORES = ("fidelity", "vrmse", "persistence", "rmse", "energy_error")
"""What ESTIMATES may carry; `persistence` is the VRMSE of persistence on the same pair."""

Scores = Mapping[int, Mapping[str, float | None]]
"""By lead: the scores of the mean state against the truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPredicted(NewState):
    """One predicted state, `lead` steps after the start (from 1)."""

    lead: int
    # None for the mean of the ensemble, which is all that most predictions keep
    member: int | None = None
    # standard deviation per cell, where the model gives one
    spread_uri: str | None = None
    spread_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedRow:
    """A predicted state, and what came true, where that is known."""

    uid: str
    lead: int
    member: int | None
    t_index: int
    t: float
    valid_time: datetime | None
    sha256: str
    uri: str
    spread_uri: str | None
    total_energy: float
    entropy: float | None
    # uid of the true snapshot
    truth: str | None
    scores: dict[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionRow:
    """A Prediction with its states by lead."""

    uid: str
    domain: str
    # uid of the snapshot it starts from, of the checkpoints (several: an ensemble), of the run
    start: str
    checkpoints: tuple[str, ...]
    run: str
    steps: int
    # over how many members its mean is
    members: int
    forcing: str
    # laws that its steps break, each counted; None where it was never checked
    violation_count: int | None
    created_at: datetime
    states: tuple[PredictedRow, ...]
    # the laws themselves, by lead
    violations: tuple[ViolationRow, ...]

    @property
    def checkpoint(self) -> str:
        """The first of them, which mostly is the only one."""
        return self.checkpoints[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscored:
    """A predicted state with the arrays that its scores follow from."""

    prediction: str
    lead: int
    uri: str
    truth_uri: str
    start_uri: str


async def record_prediction(
    gateway: Gateway,
    lease: Lease,
    *,
    start: str,
    checkpoint: str,
    others: Sequence[str] = (),
    members: int | None = None,
    forcing: Literal["frozen", "recorded"],
    dt: float,
    states: Sequence[NewPredicted],
    scores: Scores | None = None,
    violations: Sequence[NewViolation] | None = None,
) -> str:
    """Write a prediction from `start` with all its states and the laws that they break; its uid.

    `others` are the further checkpoints of an ensemble; `members` says over how many members the mean is, where their
    states are not kept; `violations` is None where nobody checked. A run makes one prediction per start and checkpoint:
    a second call returns the first one's uid and adds nothing.
    ESTIMATES leads to the true snapshots that the graph has, with their `scores` (by lead) where given.
    Raises LeaseLost, NotFound for start or checkpoint, GraphError unless the leads of each member are 1 … steps.
    """
    steps, kept = _check(states)
    uid = identity.event_uid()
    rows = [
        {
            "uid": identity.predicted_uid(uid, state.lead, state.member),
            # the chain: from the start, or from the same member one step before
            "previous": None if state.lead == 1 else identity.predicted_uid(uid, state.lead - 1, state.member),
            "lead": state.lead,
            "properties": state.properties(),
        }
        for state in sorted(states, key=lambda state: state.lead)
    ]
    estimates = _estimates(scores or {}, steps)

    async def work(tx: AsyncManagedTransaction) -> str:
        await fence(tx, lease)
        earlier = await (await tx.run(_EARLIER, run=lease.run, start=start, checkpoint=checkpoint)).single()
        if earlier is not None:
            return str(earlier["uid"])
        result = await tx.run(
            _CREATE,
            run=lease.run,
            start=start,
            checkpoint=checkpoint,
            uid=uid,
            properties={"steps": steps, "members": members or kept, "forcing": forcing, **estimates[0]["copy"]},
        )
        if await result.single() is None:
            raise NotFound("start or Checkpoint", f"{start} / {checkpoint}", next_step="Ingest and train them first.")
        found = [record["uid"] async for record in await tx.run(_ADD_CHECKPOINTS, uid=uid, checkpoints=list(others))]
        if missing := sorted(set(others) - set(found)):
            raise NotFound("Checkpoint", missing[0], next_step="Train it first.")
        await (await tx.run(_ADD_STATES, uid=uid, dt=dt, rows=rows)).consume()
        await (await tx.run(_CHAIN, uid=uid, rows=rows)).consume()
        if violations is not None:
            await add_violations(tx, uid, violations)
        await (await tx.run(_ESTIMATE, uid=uid, estimates=estimates)).consume()
        return uid

    return await gateway.transact(work)


async def unscored(gateway: Gateway, sequence: str, *, limit: int = 10_000) -> list[Unscored]:
    """Mean states predicted from this sequence whose truth it has by now, but no ESTIMATES yet; by prediction, lead."""
    return [Unscored(**row) for row in await gateway.read(_UNSCORED, sequence=sequence, limit=limit)]


async def record_estimates(gateway: Gateway, *, prediction: str, scores: Scores) -> int:
    """Score a prediction whose truth came later; how many states now have a true snapshot. Raises NotFound.

    No lease: what is written follows from nodes that are there, so that any two writers write the same.
    """
    row = await _row(gateway, prediction)
    estimates = _estimates(scores, row["steps"])

    async def work(tx: AsyncManagedTransaction) -> int:
        if 1 in scores:
            await (await tx.run(_SET_COPY, uid=prediction, properties=estimates[0]["copy"])).consume()
        record = await (await tx.run(_ESTIMATE, uid=prediction, estimates=estimates)).single(strict=True)
        return int(record["count"])

    return await gateway.transact(work)


async def prediction(gateway: Gateway, uid: str, *, limit: int = 10_000) -> PredictionRow:
    """The prediction of this uid with its states by lead; raises NotFound."""
    row = await _row(gateway, uid)
    states = [native(state["state"]) for state in await gateway.read(_STATES, uid=uid, limit=limit)]
    row["checkpoints"] = tuple(row["checkpoints"])
    return PredictionRow(
        states=tuple(PredictedRow(**state) for state in states),
        violations=tuple(await violations_of(gateway, uid)),
        **row,
    )


async def predictions_of_run(gateway: Gateway, run_uid: str, *, limit: int = 1000) -> list[str]:
    """Uids of what a run predicted, in the order in which it did."""
    rows = await gateway.read(_OF_RUN, run=run_uid, limit=limit)
    return [row["uid"] for row in rows]


async def _row(gateway: Gateway, uid: str) -> dict[str, Any]:
    rows = await gateway.read(_GET, uid=uid)
    if not rows:
        raise NotFound("Prediction", uid, next_step="`fieldgraph predict` makes one.")
    return native(rows[0]["prediction"])


def _check(states: Sequence[NewPredicted]) -> tuple[int, int]:
    """Number of steps and of members (1 for a mean alone)."""
    leads: dict[int | None, list[int]] = {}
    for state in states:
        leads.setdefault(state.member, []).append(state.lead)
    steps = max((state.lead for state in states), default=0)
    for member, given in leads.items():
        if sorted(given) != list(range(1, steps + 1)):
            name = "the mean" if member is None else f"member {member}"
            raise GraphError("BAD_PREDICTION", f"expected the leads 1 … {steps} of {name}, got {sorted(given)}.")
    if not steps:
        raise GraphError("BAD_PREDICTION", "expected at least one predicted state, got none.")
    return steps, max(1, len(leads.keys() - {None}))


def _estimates(scores: Scores, steps: int) -> list[dict[str, Any]]:
    """One entry per lead; that of lead 1 holds the copies which the Prediction carries."""
    entries = []
    for lead in range(1, steps + 1):
        given = finite({name: value for name, value in scores.get(lead, {}).items() if name in SCORES})
        copy = {name: given.get(name) for name in ("fidelity", "vrmse", "persistence")}
        entries.append({"lead": lead, "scores": given, "copy": copy})
    return entries


_EARLIER: LiteralString = """
MATCH (:Run {uid: $run})<-[:WAS_GENERATED_BY]-(p:Prediction)
MATCH (p)-[:FROM]->(start) WHERE start.uid = $start
MATCH (p)-[:BY]->(checkpoint) WHERE checkpoint.uid = $checkpoint
RETURN p.uid AS uid LIMIT 1
"""

_CREATE: LiteralString = """
MATCH (r:Run {uid: $run})
MATCH (start:EnergySnapshot {uid: $start})
MATCH (c:Checkpoint {uid: $checkpoint})
CREATE (p:Prediction {uid: $uid, domain: start.domain, created_at: datetime()})
SET p += $properties
CREATE (p)-[:FROM]->(start)
CREATE (p)-[:BY]->(c)
CREATE (p)-[:WAS_GENERATED_BY]->(r)
RETURN p.uid AS uid
"""

_ADD_CHECKPOINTS: LiteralString = """
MATCH (p:Prediction {uid: $uid})
UNWIND $checkpoints AS checkpoint
MATCH (c:Checkpoint {uid: checkpoint})
MERGE (p)-[:BY]->(c)
RETURN c.uid AS uid
"""

_ADD_STATES: LiteralString = """
MATCH (p:Prediction {uid: $uid})-[:FROM]->(start:EnergySnapshot)-[:IN_DOMAIN]->(d:Domain)
UNWIND $rows AS row
CREATE (e:EnergySnapshot:Predicted {uid: row.uid, prediction: $uid, domain: start.domain,
  height: start.height, width: start.width, t_index: start.t_index + row.lead, t: start.t + row.lead * $dt,
  valid_time: start.valid_time + duration({milliseconds: toInteger(1000 * row.lead * $dt)})})
SET e += row.properties
CREATE (p)-[:PREDICTS {lead: row.lead}]->(e)
CREATE (e)-[:IN_DOMAIN]->(d)
"""

_CHAIN: LiteralString = """
MATCH (p:Prediction {uid: $uid})-[:FROM]->(start:EnergySnapshot)
UNWIND $rows AS row
MATCH (before:EnergySnapshot {uid: coalesce(row.previous, start.uid)})
MATCH (after:EnergySnapshot {uid: row.uid})
CREATE (before)-[:EVOLVES_TO {prediction: $uid, lead: row.lead}]->(after)
"""

_ESTIMATE: LiteralString = """
MATCH (p:Prediction {uid: $uid})-[:FROM]->(start:EnergySnapshot)
UNWIND $estimates AS estimate
MATCH (truth:EnergySnapshot {sequence: start.sequence, t_index: start.t_index + estimate.lead})
MATCH (p)-[:PREDICTS {lead: estimate.lead}]->(e:Predicted)
MERGE (e)-[link:ESTIMATES]->(truth)
SET link.lead = estimate.lead
FOREACH (_ IN CASE WHEN e.member IS NULL THEN [1] ELSE [] END | SET link += estimate.scores)
RETURN count(link) AS count
"""

_SET_COPY: LiteralString = "MATCH (p:Prediction {uid: $uid}) SET p += $properties"

_UNSCORED: LiteralString = """
MATCH (start:EnergySnapshot {sequence: $sequence})<-[:FROM]-(p:Prediction)-[link:PREDICTS]->(e:Predicted)
USING INDEX start:EnergySnapshot(sequence, t_index)
WHERE start.t_index IS NOT NULL AND e.member IS NULL AND NOT (e)-[:ESTIMATES]->()
MATCH (truth:EnergySnapshot {sequence: $sequence, t_index: start.t_index + link.lead})
RETURN p.uid AS prediction, link.lead AS lead, e.uri AS uri, truth.uri AS truth_uri, start.uri AS start_uri
ORDER BY prediction, lead LIMIT $limit
"""

_GET: LiteralString = """
MATCH (p:Prediction {uid: $uid})-[:FROM]->(start:EnergySnapshot)
MATCH (p)-[:WAS_GENERATED_BY]->(r:Run)
RETURN p {.uid, .domain, .steps, .members, .forcing, .violation_count, .created_at, start: start.uid,
  checkpoints: COLLECT {MATCH (p)-[:BY]->(c:Checkpoint) RETURN c.uid ORDER BY c.uid}, run: r.uid} AS prediction
LIMIT 1
"""

_STATES: LiteralString = """
MATCH (:Prediction {uid: $uid})-[:PREDICTS]->(e:Predicted)
OPTIONAL MATCH (e)-[link:ESTIMATES]->(truth:EnergySnapshot)
RETURN e {.uid, .lead, .member, .t_index, .t, .valid_time, .sha256, .uri, .spread_uri, .total_energy, .entropy,
  truth: truth.uid, scores: coalesce(link {.fidelity, .vrmse, .persistence, .rmse, .energy_error}, {})} AS state
ORDER BY e.lead, e.member LIMIT $limit
"""

_OF_RUN: LiteralString = """
MATCH (:Run {uid: $run})<-[:WAS_GENERATED_BY]-(p:Prediction)
RETURN p.uid AS uid ORDER BY p.uid LIMIT $limit
"""
