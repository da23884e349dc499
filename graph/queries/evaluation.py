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
    # the evaluation's JSON: fidelity, baselines, vrmse, …, and `rollout`: all scores of each lead and forcing
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
    whole = {name: value for name, value in numbers.items() if name != "rollout"}
    properties = {
        **_flat(numbers),
        **_leads(numbers.get("rollout") or []),
        "scores_json": canonical_json(whole).decode(),
    }
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


def _leads(rollout: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Lists that run in parallel, an entry for each lead and forcing; a list that would lack one is absent."""
    if not rollout:
        return {}
    figures = {
        "rollout_fidelities": [(lead.get("fidelity") or {}).get("pooled") for lead in rollout],
        "rollout_vrmses": [lead.get("vrmse") for lead in rollout],
        "rollout_persistence_vrmses": [lead.get("persistence_vrmse") for lead in rollout],
    }
    return {
        "horizon": max(lead["lead"] for lead in rollout),
        "rollout_leads": [lead["lead"] for lead in rollout],
        "rollout_forcings": [lead["forcing"] for lead in rollout],
        "rollout_json": [canonical_json(lead).decode() for lead in rollout],
        # Neo4j keeps no null within a list
        **{name: values for name, values in figures.items() if None not in values},
    }


def _flat(scores: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that an analyst filters on, out of the evaluation's JSON; absent ones are None."""
    fidelity = scores.get("fidelity") or {}
    baselines = scores.get("baselines") or {}
    known = baselines.get("known_physics") or {}
    metrics = scores.get("metrics") or {}
    calibration = scores.get("calibration") or {}
    low, high = fidelity.get("ci95") or (None, None)
    return {
        "fidelity": fidelity.get("pooled"),
        "fidelity_low": low,
        "fidelity_high": high,
        "fidelity_mean": fidelity.get("mean"),
        "fidelity_median": fidelity.get("median"),
        "n": fidelity.get("n"),
        "vrmse": scores.get("vrmse"),
        "persistence_vrmse": scores.get("persistence_vrmse"),
        "linear_fidelity": _pooled(baselines, "linear_extrapolation"),
        "ridge_fidelity": _pooled(baselines, "ridge"),
        "upwind_fidelity": _pooled(known, "upwind"),
        "frozen_fidelity": _pooled(known, "frozen"),
        "noise_ceiling": _pooled(baselines, "noise_ceiling"),
        **{name: (metrics.get(name) or {}).get("model") for name in _METRICS},
        "closure": (scores.get("conservation") or {}).get("residual"),
        "second_law_violations": (scores.get("second_law") or {}).get("violations"),
        "data_second_law_violations": (scores.get("second_law") or {}).get("data_violations"),
        "coverage90": calibration.get("coverage90"),
        "spread_skill": calibration.get("spread_skill"),
        "crps": calibration.get("crps"),
        "drift": (scores.get("drift") or {}).get("total"),
        "left_out": scores.get("left_out"),
    }


# measures of lead 1 that are properties of their own
_METRICS = ("rmse", "nrmse", "gradient_cosine", "change_gradient_cosine", "spectrum_error", "entropy_change_error")


def _pooled(scores: Mapping[str, Any], name: str) -> float | None:
    value: float | None = (scores.get(name) or {}).get("pooled")
    return value


def _evaluation(row: Mapping[str, Any]) -> EvaluationRow:
    values = native(row)
    stretches = tuple(sorted(Stretch(**part) for part in values.pop("stretches")))
    rollout = [parsed(lead) for lead in values.pop("rollout_json") or ()]
    scores = parsed(values.pop("scores_json")) | ({"rollout": rollout} if rollout else {})
    return EvaluationRow(scores=scores, stretches=stretches, **values)


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
  .rollout_json, checkpoint: c.uid, run: r.uid,
  stretches: COLLECT { MATCH (v)-[on:ON]->(s:Sequence) RETURN on {.first, .last, sequence: s.uid} }} AS evaluation
"""

_GET: LiteralString = "MATCH (v:Evaluation {uid: $uid})" + _ROW + "LIMIT 1"

_OF_CHECKPOINT: LiteralString = (
    "MATCH (:Checkpoint {uid: $checkpoint})<-[:SCORES]-(v:Evaluation)" + _ROW + "ORDER BY v.uid DESC LIMIT $limit"
)

_OF_RUN: LiteralString = (
    "MATCH (:Run {uid: $run})<-[:WAS_GENERATED_BY]-(v:Evaluation)" + _ROW + "ORDER BY v.uid DESC LIMIT $limit"
)
