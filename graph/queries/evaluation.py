"""Evaluations: how good a checkpoint was on which stretches; flat numbers to filter on, the whole beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from neo4j import AsyncManagedTransaction

from graph.errors import NotFound
from graph.gateway import Gateway
from graph.identity import canonical_json, event_uid
from graph.queries.leases import Lease, fence
from graph.queries.numbers import finite
from graph.queries.rows import native, parsed


@dataclass(frozen=True, slots=True, order=True)
class Stretch:
    """Frames of a sequence that were scored; t_index, inclusive."""

    sequence: str
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRow:
    """An Evaluation as it was when it was read."""

    uid: str
    domain: str
    checkpoint: str
    run: str
    # pooled fidelity and its 95 % interval
    fidelity: float | None
    fidelity_low: float | None
    fidelity_high: float | None
    n: int | None
    vrmse: float | None
    # the evaluation's JSON: fidelity, baselines, vrmse, …
    scores: dict[str, Any]
    created_at: datetime
    stretches: tuple[Stretch, ...]


async def record_evaluation(
    gateway: Gateway, lease: Lease, *, checkpoint: str, stretches: Sequence[Stretch], scores: Mapping[str, Any]
) -> str:
    """Write an evaluation of `checkpoint`; its uid.

    `scores` is `nvp.prediction`'s `Evaluation.to_json()`. A run evaluates a checkpoint once: a second call returns the
    first one's uid. Raises LeaseLost, NotFound for the checkpoint or a sequence.
    """
    uid = event_uid()
    numbers = finite(scores)
    properties = {**_flat(numbers), "scores_json": canonical_json(numbers).decode()}
    rows = [{"sequence": part.sequence, "first": part.first, "last": part.last} for part in stretches]

    async def work(tx: AsyncManagedTransaction) -> str:
        await fence(tx, lease)
        earlier = await (await tx.run(_EARLIER, run=lease.run, checkpoint=checkpoint)).single()
        if earlier is not None:
            return str(earlier["uid"])
        result = await tx.run(_CREATE, run=lease.run, checkpoint=checkpoint, uid=uid, properties=properties)
        if await result.single() is None:
            raise NotFound("Checkpoint", checkpoint, next_step="Train a model first.")
        found = {record["sequence"] async for record in await tx.run(_ADD_STRETCHES, uid=uid, stretches=rows)}
        for part in stretches:
            if part.sequence not in found:
                raise NotFound("Sequence", part.sequence, next_step="Ingest or generate it first.")
        return uid

    return await gateway.transact(work)


async def evaluation(gateway: Gateway, uid: str) -> EvaluationRow:
    """The evaluation of this uid; raises NotFound."""
    rows = await gateway.read(_GET, uid=uid)
    if not rows:
        raise NotFound("Evaluation", uid, next_step="`fieldgraph evaluate` makes one.")
    return _evaluation(rows[0]["evaluation"])


async def evaluations_of_checkpoint(gateway: Gateway, checkpoint: str, *, limit: int = 100) -> list[EvaluationRow]:
    """The checkpoint's evaluations, newest first."""
    rows = await gateway.read(_OF_CHECKPOINT, checkpoint=checkpoint, limit=limit)
    return [_evaluation(row["evaluation"]) for row in rows]


async def evaluations_of_run(gateway: Gateway, run: str, *, limit: int = 100) -> list[EvaluationRow]:
    """What a run evaluated, newest first."""
    rows = await gateway.read(_OF_RUN, run=run, limit=limit)
    return [_evaluation(row["evaluation"]) for row in rows]


def _flat(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that an analyst filters on, out of the evaluation's JSON; absent ones are None."""
    fidelity = scores.get("fidelity") or {}
    baselines = scores.get("baselines") or {}
    low, high = fidelity.get("ci95") or (None, None)
    return {
        "fidelity": fidelity.get("pooled"),
        "fidelity_low": low,
        "fidelity_high": high,
        "fidelity_mean": fidelity.get("mean"),
        "fidelity_median": fidelity.get("median"),
        "n": fidelity.get("n"),
        "vrmse": scores.get("vrmse"),
        "linear_fidelity": (baselines.get("linear_extrapolation") or {}).get("pooled"),
        "ridge_fidelity": (baselines.get("ridge") or {}).get("pooled"),
    }


def _evaluation(row: Mapping[str, Any]) -> EvaluationRow:
    values = native(row)
    stretches = tuple(sorted(Stretch(**part) for part in values.pop("stretches")))
    return EvaluationRow(scores=parsed(values.pop("scores_json")), stretches=stretches, **values)


_EARLIER: LiteralString = """
MATCH (:Run {uid: $run})<-[:WAS_GENERATED_BY]-(v:Evaluation)-[:SCORES]->(checkpoint)
WHERE checkpoint.uid = $checkpoint
RETURN v.uid AS uid LIMIT 1
"""

_CREATE: LiteralString = """
MATCH (r:Run {uid: $run})
MATCH (c:Checkpoint {uid: $checkpoint})<-[:HAS_CHECKPOINT]-(m:Model)
CREATE (v:Evaluation {uid: $uid, domain: m.domain, created_at: datetime()})
SET v += $properties
CREATE (v)-[:SCORES]->(c)
CREATE (v)-[:WAS_GENERATED_BY]->(r)
RETURN v.uid AS uid
"""

_ADD_STRETCHES: LiteralString = """
MATCH (v:Evaluation {uid: $uid})
UNWIND $stretches AS part
MATCH (s:Sequence {uid: part.sequence})
CREATE (v)-[:ON {first: part.first, last: part.last}]->(s)
RETURN s.uid AS sequence
"""

_ROW: LiteralString = """
MATCH (v)-[:SCORES]->(c:Checkpoint)
MATCH (v)-[:WAS_GENERATED_BY]->(r:Run)
RETURN v {.uid, .domain, .fidelity, .fidelity_low, .fidelity_high, .n, .vrmse, .scores_json, .created_at,
  checkpoint: c.uid, run: r.uid,
  stretches: COLLECT { MATCH (v)-[on:ON]->(s:Sequence) RETURN on {.first, .last, sequence: s.uid} }} AS evaluation
"""

_GET: LiteralString = "MATCH (v:Evaluation {uid: $uid})" + _ROW + "LIMIT 1"

_OF_CHECKPOINT: LiteralString = (
    "MATCH (:Checkpoint {uid: $checkpoint})<-[:SCORES]-(v:Evaluation)" + _ROW + "ORDER BY v.uid DESC LIMIT $limit"
)

_OF_RUN: LiteralString = (
    "MATCH (:Run {uid: $run})<-[:WAS_GENERATED_BY]-(v:Evaluation)" + _ROW + "ORDER BY v.uid DESC LIMIT $limit"
)
