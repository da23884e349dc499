"""Lookups of the API: from many keys at once to their nodes, so that a list of n nodes costs one query, not n.

A lookup is one Cypher that takes `$keys` and returns per key an ordered list of maps, at most `$first` of them. The
tables `NODES`, `RELATIONS` and `NEXT` name them all; `related` runs any of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from neo4j.time import DateTime

from graph.gateway import Gateway
from graph.queries import projections as as_


async def related(
    gateway: Gateway, query: LiteralString, keys: Sequence[str], *, first: int = 1
) -> list[list[dict[str, Any]]]:
    """For each key, in the order given, up to `first` maps; an empty list where there is none."""
    rows = await gateway.read(query, keys=list(keys), first=first)
    found = {row["key"]: [plain(item) for item in row["nodes"]] for row in rows}
    return [found.get(key, []) for key in keys]


def next_query(first: int) -> LiteralString:
    """The walk along NEXT with the least bound that reaches `first` steps (200 at most)."""
    return NEXT[min((bound for bound in NEXT if bound >= first), default=max(NEXT))]


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """The map with Neo4j's times as `datetime`, and the JSON text, or texts, of `…_json` under the name before it."""
    return dict(_plain(name, value) for name, value in item.items())


def _plain(name: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, DateTime):
        return name, value.to_native()
    if name.endswith("_json"):
        return name.removesuffix("_json"), _parsed(value)
    return name, value


def _parsed(value: str | list[str] | None) -> Any:
    if value is None:
        return None
    return [json.loads(text) for text in value] if isinstance(value, list) else json.loads(value)


def _node(match: LiteralString, projection: LiteralString) -> LiteralString:
    return "UNWIND $keys AS key MATCH " + match + " RETURN key, [" + projection + "] AS nodes"


def _related(match: LiteralString, order: LiteralString, projection: LiteralString) -> LiteralString:
    return (
        "UNWIND $keys AS key RETURN key, COLLECT { MATCH "
        + match
        + " WITH * ORDER BY "
        + order
        + " LIMIT $first RETURN "
        + projection
        + " } AS nodes"
    )


NODES: Mapping[str, LiteralString] = {
    "Domain": _node("(node:Domain {name: key})", as_.DOMAIN),
    "Sequence": _node("(node:Sequence {uid: key})", as_.SEQUENCE),
    "Split": _node("(node:Split {uid: key})", as_.SPLIT),
    "EnergySnapshot": _node("(node:EnergySnapshot {uid: key})", as_.SNAPSHOT),
    "Run": _node("(node:Run {uid: key})", as_.RUN),
    "Model": _node("(node:Model {uid: key})", as_.MODEL),
    "Checkpoint": _node("(node:Checkpoint {uid: key})", as_.CHECKPOINT),
    "Prediction": _node("(node:Prediction {uid: key})", as_.PREDICTION),
    "Evaluation": _node("(node:Evaluation {uid: key})", as_.EVALUATION),
    "Violation": _node("(node:Violation {uid: key})", as_.VIOLATION),
    "PredictionLog": _node("(node:PredictionLog {uid: key})", as_.PREDICTION_LOG),
    "Hypothesis": _node("(node:Hypothesis {uid: key})", as_.HYPOTHESIS),
}
"""By label: the node under each key."""

_STATE: LiteralString = "(:EnergySnapshot {uid: key})"
_RUN: LiteralString = "(:Run {uid: key})"
_HYPOTHESIS: LiteralString = "(:Hypothesis {uid: key})"

NEXT: Mapping[int, LiteralString] = {
    1: _related("path = " + _STATE + "-[:NEXT]->(node:EnergySnapshot)", "length(path)", as_.SNAPSHOT),
    10: _related("path = " + _STATE + "-[:NEXT*1..10]->(node:EnergySnapshot)", "length(path)", as_.SNAPSHOT),
    50: _related("path = " + _STATE + "-[:NEXT*1..50]->(node:EnergySnapshot)", "length(path)", as_.SNAPSHOT),
    200: _related("path = " + _STATE + "-[:NEXT*1..200]->(node:EnergySnapshot)", "length(path)", as_.SNAPSHOT),
}
"""By bound, which Cypher wants as a literal: the true successors of a state, nearest first."""

RELATIONS: Mapping[str, LiteralString] = {
    # from a snapshot
    "previous": _related(_STATE + "<-[:NEXT]-(node:EnergySnapshot)", "node.t_index DESC", as_.SNAPSHOT),
    "predictions_from": _related(_STATE + "<-[:FROM]-(node:Prediction)", "node.uid DESC", as_.PREDICTION),
    "evolves_to": _related(
        _STATE + "-[link:EVOLVES_TO]->(node:Predicted)",
        "link.prediction DESC, node.uid",
        "{lead: link.lead, prediction_uid: link.prediction, snapshot_uid: node.uid}",
    ),
    "estimates": _related(
        _STATE + "-[link:ESTIMATES]->(node:EnergySnapshot)",
        "link.lead, node.uid",
        "link {.lead, .fidelity, .vrmse, .persistence, .rmse, .energy_error, predicted_uid: key, truth_uid: node.uid}",
    ),
    "estimated_by": _related(
        _STATE + "<-[link:ESTIMATES]-(node:Predicted)",
        "link.lead, node.uid",
        "link {.lead, .fidelity, .vrmse, .persistence, .rmse, .energy_error, predicted_uid: node.uid, truth_uid: key}",
    ),
    # from a sequence or a split
    "segments": _related("(:Sequence {uid: key})-[:HAS_SEGMENT]->(node:Segment)", "node.first, node.uid", as_.SEGMENT),
    "sequence_run": _related("(:Sequence {uid: key})-[:WAS_GENERATED_BY]->(node:Run)", "node.uid", as_.RUN),
    "parts_of_sequence": _related(
        "(:Sequence {uid: key})<-[link:HAS_PART]-(node:Split)",
        "node.uid, link.first, link.role",
        "link {.role, .first, .last, sequence_uid: key, split_uid: node.uid}",
    ),
    "parts_of_split": _related(
        "(:Split {uid: key})-[link:HAS_PART]->(node:Sequence)",
        "link.role, node.uid, link.first",
        "link {.role, .first, .last, sequence_uid: node.uid, split_uid: key}",
    ),
    # from a run
    "inputs": _related(
        # a coupling graph is no node of the API: it is known by its name
        _RUN + "-[link:USED]->(node) WHERE NOT node:CouplingGraph",
        "link.role, coalesce(node.uid, node.name)",
        "{role: link.role, key: coalesce(node.uid, node.name), labels: labels(node)}",
    ),
    "certificate_of_run": _related("(node:Certificate {run: key})", "node.uid", as_.CERTIFICATE),
    "epochs": _related(_RUN + "-[:EPOCH]->(node:Epoch)", "node.epoch", as_.EPOCH),
    "sequences_of_run": _related(_RUN + "<-[:WAS_GENERATED_BY]-(node:Sequence)", "node.uid", as_.SEQUENCE),
    "models_of_run": _related(_RUN + "<-[:WAS_GENERATED_BY]-(node:Model)", "node.uid", as_.MODEL),
    "checkpoints_of_run": _related(
        _RUN + "<-[:WAS_GENERATED_BY]-(node:Checkpoint)", "node.step DESC, node.uid", as_.CHECKPOINT
    ),
    "predictions_of_run": _related(_RUN + "<-[:WAS_GENERATED_BY]-(node:Prediction)", "node.uid DESC", as_.PREDICTION),
    "evaluations_of_run": _related(_RUN + "<-[:WAS_GENERATED_BY]-(node:Evaluation)", "node.uid DESC", as_.EVALUATION),
    "outcome_of_relaxation": _related(
        "(node:Run {uid: key}) WHERE node.status IS NOT NULL", "node.uid", as_.RELAXATION_OUTCOME
    ),
    "gates_of_relaxation": _related(_RUN + "-[:DECIDED]->(node:GateEvent)", "node.key", as_.GATE_EVENT),
    "gating_metrics": "UNWIND $keys AS key RETURN key, COLLECT { MATCH "
    + _RUN
    + """-[:DECIDED]->(node:GateEvent)
    WITH node, node.opened AND node.realised IS NOT NULL AS known
    WITH count(node) AS gates, avg(node.hazard) AS hazard_mean,
      sum(CASE WHEN node.opened THEN 1 ELSE 0 END) AS opened,
      sum(CASE WHEN node.opened AND NOT EXISTS { (node)<-[:PARENT]-(:GateEvent {opened: true}) } THEN 1 ELSE 0 END)
        AS ends,
      sum(CASE WHEN node.opened THEN node.benefit ELSE 0.0 END) AS expected,
      sum(CASE WHEN known THEN 1 ELSE 0 END) AS measured,
      sum(CASE WHEN known THEN node.realised ELSE 0.0 END) AS realised,
      sum(CASE WHEN known AND node.realised > 0 THEN node.realised ELSE 0.0 END) AS gained,
      sum(CASE WHEN known AND node.realised > 0 THEN 1 ELSE 0 END) AS good
    WHERE gates > 0 RETURN """
    + as_.GATING_METRICS
    + " LIMIT $first } AS nodes",
    "outcome_of_sweep": _related("(node:Run {uid: key}) WHERE node.points IS NOT NULL", "node.uid", as_.SWEEP_OUTCOME),
    "outcome_of_expansion": _related(
        "(node:Run {uid: key}) WHERE node.survivors IS NOT NULL", "node.uid", as_.EXPANSION_OUTCOME
    ),
    "candidates_of_expansion": _related(
        _RUN + "-[:WEIGHS]->(node:ExpansionCandidate)", "node.index", as_.EXPANSION_CANDIDATE
    ),
    "parent_run": _related(_RUN + "-[:PART_OF]->(node:Run)", "node.uid", as_.RUN),
    "children": _related(_RUN + "<-[:PART_OF]-(node:Run)", "node.uid", as_.RUN),
    "stages": _related(_RUN + "-[:STAGE]->(node:Stage)", "node.round, node.position", as_.STAGE),
    "votes": _related(_RUN + "-[:VOTE]->(node:Vote)", "node.round, node.member", as_.VOTE),
    "tests_of_run": _related(
        "(run:Run {uid: key})<-[link:TESTED_BY]-(node:Hypothesis)", "link.taken_at, node.uid", as_.TEST
    ),
    "cited": _related(_RUN + "-[:USED {role: 'evidence'}]->(node:Evaluation)", "node.uid", as_.EVALUATION),
    # from a hypothesis
    "refines": _related(_HYPOTHESIS + "-[:REFINES]->(node:Hypothesis)", "node.uid", as_.HYPOTHESIS),
    "refined_by": _related(_HYPOTHESIS + "<-[:REFINES]-(node:Hypothesis)", "node.uid DESC", as_.HYPOTHESIS),
    "tests_of_hypothesis": _related(
        "(node:Hypothesis {uid: key})-[link:TESTED_BY]->(run:Run)", "run.uid DESC", as_.TEST
    ),
    "evidence": _related(
        _HYPOTHESIS + "-[link:SUPPORTED_BY|REFUTED_BY]->(node:Evaluation)",
        "node.uid DESC, link.run",
        "{supports: type(link) = 'SUPPORTED_BY', weight: coalesce(link.weight, 0.0), "
        "run_uid: coalesce(link.run, ''), evaluation_uid: node.uid}",
    ),
    # from a model or checkpoint
    "checkpoints": _related(
        "(:Model {uid: key})-[:HAS_CHECKPOINT]->(node:Checkpoint)", "node.step DESC, node.uid", as_.CHECKPOINT
    ),
    "parent": _related("(:Checkpoint {uid: key})-[:WAS_DERIVED_FROM]->(node:Checkpoint)", "node.uid", as_.CHECKPOINT),
    # from a prediction or evaluation
    "start": _related("(:Prediction {uid: key})-[:FROM]->(node:EnergySnapshot)", "node.uid", as_.SNAPSHOT),
    "checkpoint": _related("(:Prediction {uid: key})-[:BY]->(node:Checkpoint)", "node.uid", as_.CHECKPOINT),
    "steps": _related(
        "(:Prediction {uid: key})-[link:PREDICTS]->(node:Predicted)",
        "link.lead, node.member, node.uid",
        "{lead: link.lead, snapshot_uid: node.uid}",
    ),
    "prediction_run": _related("(:Prediction {uid: key})-[:WAS_GENERATED_BY]->(node:Run)", "node.uid", as_.RUN),
    "violations_of_prediction": _related(
        "(:Prediction {uid: key})-[:VIOLATES]->(node:Violation)", "node.lead, node.uid", as_.VIOLATION
    ),
    "logs_of_prediction": _related(
        "(:Prediction {uid: key})<-[:LOGS]-(node:PredictionLog)", "node.lead, node.uid", as_.PREDICTION_LOG
    ),
    # from a violation or log
    "violating_prediction": _related(
        "(:Violation {uid: key})<-[:VIOLATES]-(node:Prediction)", "node.uid", as_.PREDICTION
    ),
    "violation_state": _related("(:Violation {uid: key})-[:AT]->(node:EnergySnapshot)", "node.uid", as_.SNAPSHOT),
    "logged_prediction": _related("(:PredictionLog {uid: key})-[:LOGS]->(node:Prediction)", "node.uid", as_.PREDICTION),
    "logged_truth": _related("(:PredictionLog {uid: key})-[:AGAINST]->(node:EnergySnapshot)", "node.uid", as_.SNAPSHOT),
    "scored_checkpoint": _related("(:Evaluation {uid: key})-[:SCORES]->(node:Checkpoint)", "node.uid", as_.CHECKPOINT),
    "stretches": _related(
        "(:Evaluation {uid: key})-[link:ON]->(node:Sequence)",
        "node.uid, link.first",
        "link {.first, .last, sequence_uid: node.uid}",
    ),
    "leads": _related(
        "(node:Evaluation {uid: key}) UNWIND range(0, size(node.rollout_leads) - 1) AS at",
        "at",
        "{lead: node.rollout_leads[at], forcing: node.rollout_forcings[at], fidelity: node.rollout_fidelities[at], "
        "vrmse: node.rollout_vrmses[at], persistence_vrmse: node.rollout_persistence_vrmses[at], "
        "scores_json: node.rollout_json[at]}",
    ),
    "evaluation_run": _related("(:Evaluation {uid: key})-[:WAS_GENERATED_BY]->(node:Run)", "node.uid", as_.RUN),
}
"""By relation: what is linked to the node under each key."""
