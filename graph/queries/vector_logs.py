"""The log of energy vectors in the graph: one node per predicted state whose truth is known.

    (Prediction)<-[:LOGS]-(:PredictionLog {domain, regime, fidelity, …})-[:AGAINST]->(E)

A state is logged once, by whoever finds its truth first: at the prediction, or when the truth is ingested. Needs no
lease, for what is written follows from nodes that are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from graph import identity
from graph.gateway import Gateway
from graph.queries.numbers import finite
from graph.queries.rows import native


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlogged:
    """A predicted state whose truth is known, with the arrays that its energy vector follows from."""

    prediction: str
    predicted: str
    domain: str
    lead: int
    # uid and t_index of the truth
    snapshot: str
    step: int
    predicted_uri: str
    truth_uri: str
    start_uri: str
    # when it was predicted
    timestamp: datetime
    # of an ensemble: the first one's model, and all checkpoints joined by +
    model: str
    version: str
    checkpoint: str
    # uid of the run that wanted it: an experiment's, else the prediction's own
    agent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLog:
    """The energy vector of one state, flat; `properties` as `graph.models.outcome.PredictionLog` declares them."""

    prediction: str
    predicted: str
    snapshot: str
    timestamp: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """What the logs of a group add up to; None where it is over all, or where nothing applies."""

    domain: str | None
    regime: str | None
    n: int
    # those whose field changed, and their fidelities
    moving: int
    mean: float | None
    median: float | None
    pooled: float | None
    total_energy_fidelity: float | None
    field_fidelity: float | None
    rmse: float | None
    # of persistence on the same pairs
    persistence_rmse: float | None


async def unlogged_of_prediction(gateway: Gateway, prediction: str, *, limit: int = 10_000) -> list[Unlogged]:
    """States of one prediction that are not logged yet though their truth is known, by lead."""
    return _unlogged(await gateway.read(_OF_PREDICTION, prediction=prediction, limit=limit))


async def unlogged_of_sequence(gateway: Gateway, sequence: str, *, limit: int = 10_000) -> list[Unlogged]:
    """The same of all predictions from this sequence, by prediction and lead."""
    return _unlogged(await gateway.read(_OF_SEQUENCE, sequence=sequence, limit=limit))


async def record_logs(gateway: Gateway, logs: Sequence[NewLog]) -> set[str]:
    """Write what is not there yet; the uids of the predicted states that were logged by this call."""
    rows = [
        {
            "uid": identity.event_uid(),
            "prediction": log.prediction,
            "predicted": log.predicted,
            "snapshot": log.snapshot,
            "timestamp": log.timestamp,
            "properties": finite(log.properties),
        }
        for log in logs
    ]
    return {row["predicted"] for row in await gateway.write(_RECORD, rows=rows)} if rows else set()


async def summary(
    gateway: Gateway,
    by: Sequence[str] = ("domain", "regime"),
    *,
    domain: str | None = None,
    regime: str | None = None,
    limit: int = 1000,
) -> list[SummaryRow]:
    """What the logs add up to by domain, by regime or by both, of one domain or regime where named.

    `pooled` weighs every field the same, whatever its grid.
    """
    rows = await gateway.read(_SUMMARY, by=list(by), domain=domain, regime=regime, limit=limit)
    return [SummaryRow(**row) for row in rows]


def _unlogged(rows: Sequence[Mapping[str, Any]]) -> list[Unlogged]:
    return [Unlogged(**native(row)) for row in rows]


_ROW: LiteralString = """
CALL (p) {
  MATCH (p)-[:BY]->(c:Checkpoint)
  MATCH (m:Model {uid: c.model})
  WITH m, c ORDER BY c.uid
  WITH head(collect(m)) AS m, collect(c.sha256) AS hashes
  RETURN m, reduce(all = head(hashes), one IN tail(hashes) | all + '+' + one) AS checkpoint
}
MATCH (e)-[:ESTIMATES]->(truth:EnergySnapshot)
WHERE NOT EXISTS { (:PredictionLog {predicted: e.uid}) }
RETURN p.uid AS prediction, e.uid AS predicted, p.domain AS domain, link.lead AS lead, truth.uid AS snapshot,
  truth.t_index AS step, e.uri AS predicted_uri, truth.uri AS truth_uri, start.uri AS start_uri,
  p.created_at AS timestamp, m.name AS model, m.code_version AS version, checkpoint,
  head(COLLECT {
    MATCH (p)-[:WAS_GENERATED_BY]->(made:Run)
    RETURN coalesce(head(COLLECT { MATCH (made)-[:WAS_INFORMED_BY]->(wanted:Run) RETURN wanted.uid }), made.uid)
  }) AS agent
ORDER BY prediction, lead LIMIT $limit
"""

_OF_PREDICTION: LiteralString = (
    """
MATCH (start:EnergySnapshot)<-[:FROM]-(p:Prediction {uid: $prediction})
MATCH (p)-[link:PREDICTS]->(e:Predicted) WHERE e.member IS NULL
"""
    + _ROW
)

_OF_SEQUENCE: LiteralString = (
    """
MATCH (start:EnergySnapshot {sequence: $sequence})<-[:FROM]-(p:Prediction)
USING INDEX start:EnergySnapshot(sequence, t_index)
WHERE start.t_index IS NOT NULL
MATCH (p)-[link:PREDICTS]->(e:Predicted) WHERE e.member IS NULL
"""
    + _ROW
)

_RECORD: LiteralString = """
UNWIND $rows AS row
MATCH (p:Prediction {uid: row.prediction})
MATCH (truth:EnergySnapshot {uid: row.snapshot})
MERGE (l:PredictionLog {predicted: row.predicted})
ON CREATE SET l += row.properties, l.uid = row.uid, l.prediction = p.uid, l.timestamp = datetime(row.timestamp),
  l.recorded_at = datetime()
WITH p, truth, l, row WHERE l.uid = row.uid
MERGE (l)-[:LOGS]->(p)
MERGE (l)-[:AGAINST]->(truth)
RETURN l.predicted AS predicted
"""

_SUMMARY: LiteralString = """
MATCH (l:PredictionLog)
WHERE l.uid >= '' AND ($domain IS NULL OR l.domain = $domain) AND ($regime IS NULL OR l.regime = $regime)
WITH CASE WHEN 'domain' IN $by THEN l.domain END AS domain, CASE WHEN 'regime' IN $by THEN l.regime END AS regime, l,
  CASE WHEN l.fidelity IS NOT NULL THEN l.rmse ^ 2 END AS error,
  CASE WHEN l.fidelity IS NOT NULL THEN l.persistence_rmse ^ 2 END AS change
WITH domain, regime, count(l) AS n, count(l.fidelity) AS moving, avg(l.fidelity) AS mean,
  percentileCont(l.fidelity, 0.5) AS median, sum(error) AS error, sum(change) AS change,
  avg(l.total_energy_fidelity) AS total_energy_fidelity, avg(l.field_fidelity) AS field_fidelity,
  sqrt(avg(l.rmse ^ 2)) AS rmse, sqrt(avg(l.persistence_rmse ^ 2)) AS persistence_rmse
RETURN domain, regime, n, moving, mean, median, CASE WHEN change > 0 THEN 1 - sqrt(error / change) END AS pooled,
  total_energy_fidelity, field_fidelity, rmse, persistence_rmse
ORDER BY domain, regime LIMIT $limit
"""
