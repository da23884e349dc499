"""What a checkpoint may be tested on: what its model has not learnt from, and the proof that it has not.

A model has seen a frame that lies in a training or validation part of its split, is equal to the bit to one that does,
or comes from a sequence that shares its draw with one (`graph.queries.leaks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

from graph.errors import GraphError, NotFound
from graph.gateway import Gateway
from graph.queries import splits
from graph.queries.evaluation import Stretch


async def stretches(
    gateway: Gateway,
    *,
    checkpoint: str,
    domain: str,
    regime: str | None = None,
    horizon: int = 1,
    limit: int = 1000,
) -> list[Stretch]:
    """Stretches of a domain that a checkpoint may be tested on: test parts of its split first, then what is in no part.

    A stretch has no gap, lies in one `regime` where that is given, and is longer than `horizon`. What `leaked` would
    count is left out. Raises NotFound for the checkpoint, GraphError where nobody can say what its model has learnt.
    """
    await _learnt(gateway, checkpoint)
    rows = await gateway.read(
        EVIDENCE, checkpoint=checkpoint, domain=domain, regime=regime, horizon=horizon, limit=limit
    )
    if not rows:
        raise NotFound("Checkpoint with a split", checkpoint, next_step="Train a model first.")
    return [Stretch(**row["stretch"]) for row in rows if row["stretch"] is not None]


async def leaked(gateway: Gateway, *, checkpoint: str, stretches: Sequence[Stretch]) -> int:
    """How many frames of the stretches the checkpoint's model has seen in training or validation: 0 proves that none.

    Raises NotFound for the checkpoint or a stretch without frames, GraphError where nobody can say what its model has
    learnt.
    """
    await _learnt(gateway, checkpoint)
    parts = [{"sequence": part.sequence, "first": part.first, "last": part.last} for part in stretches]
    rows = await gateway.read(LEAKED, checkpoint=checkpoint, stretches=parts)
    if not rows and stretches:
        raise NotFound("Checkpoint with a split", checkpoint, next_step="Train a model first.")
    for row in rows:
        if not row["frames"]:
            raise NotFound("frames of Sequence", row["sequence"], next_step="Look for evidence again.")
    return sum(row["leaked"] for row in rows)


async def _learnt(gateway: Gateway, checkpoint: str) -> None:
    """Refuse a model that was imported without all of its training data: what it has learnt would pass for new."""
    rows = await gateway.read(SPLIT, checkpoint=checkpoint)
    if rows and not (split := await splits.split(gateway, rows[0]["split"])).whole:
        raise GraphError(
            "UNKNOWN_TRAINING",
            f"expected all sequences that split {split.uid} trains and validates on in the graph, got "
            f"{'some' if split.absent is None else split.absent} missing.",
            next_step="Ingest those that `fieldgraph runs import` named, then import the bundle again.",
        )


SPLIT: LiteralString = """
MATCH (:Checkpoint {uid: $checkpoint})<-[:HAS_CHECKPOINT]-(m:Model)
MATCH (p:Split {uid: m.split})
RETURN p.uid AS split LIMIT 1
"""

# numbers that follow each other differ from their rank by the same: an island without a gap
EVIDENCE: LiteralString = """
MATCH (:Checkpoint {uid: $checkpoint})<-[:HAS_CHECKPOINT]-(m:Model)
MATCH (p:Split {uid: m.split})
CALL (p) {
  CALL (p) {
    MATCH (p)-[part:HAS_PART {role: 'test'}]->(s:Sequence) WHERE s.domain = $domain
    RETURN s, part.first AS first, part.last AS last, 0 AS rank
    UNION
    MATCH (s:Sequence {domain: $domain}) WHERE s.uid > '' AND NOT EXISTS { (p)-[:HAS_PART]->(s) }
    RETURN s, s.first AS first, s.last AS last, 1 AS rank
  }
  WITH p, s, first, last, rank
  WHERE NOT EXISTS {
    MATCH (p)-[seen:HAS_PART]->(other:Sequence)
    WHERE seen.role <> 'test' AND other.uid <> s.uid AND other.draw = s.draw
  }
  CALL (p, s, first, last) {
    MATCH (e:EnergySnapshot) WHERE e.sequence = s.uid AND e.t_index >= first AND e.t_index <= last
      AND ($regime IS NULL OR e.regime = $regime)
      AND NOT EXISTS {
        MATCH (f:EnergySnapshot {sha256: e.sha256})
        MATCH (p)-[seen:HAS_PART]->(o:Sequence)
        WHERE o.uid = f.sequence AND seen.role <> 'test' AND f.t_index >= seen.first AND f.t_index <= seen.last
      }
    WITH e.t_index AS t ORDER BY t
    WITH collect(t) AS ts
    UNWIND range(0, size(ts) - 1) AS at
    WITH ts[at] AS t, ts[at] - at AS island
    WITH island, min(t) AS begin, max(t) AS end WHERE end - begin >= $horizon
    RETURN begin, end
  }
  WITH {sequence: s.uid, first: begin, last: end} AS stretch, rank
  ORDER BY rank, stretch.sequence, stretch.first LIMIT $limit
  RETURN collect(stretch) AS found
}
UNWIND CASE WHEN found = [] THEN [null] ELSE found END AS stretch
RETURN stretch
"""

# a frame is equal to itself, so that one look by hash finds those in place, too
LEAKED: LiteralString = """
MATCH (:Checkpoint {uid: $checkpoint})<-[:HAS_CHECKPOINT]-(m:Model)
MATCH (p:Split {uid: m.split})
UNWIND $stretches AS part
CALL (p, part) {
  MATCH (e:EnergySnapshot) WHERE e.sequence = part.sequence AND e.t_index >= part.first AND e.t_index <= part.last
  WITH p, e, EXISTS {
    MATCH (f:EnergySnapshot {sha256: e.sha256})
    MATCH (p)-[seen:HAS_PART]->(s:Sequence)
    WHERE s.uid = f.sequence AND seen.role <> 'test' AND f.t_index >= seen.first AND f.t_index <= seen.last
  } OR EXISTS {
    MATCH (own:Sequence {uid: e.sequence})
    MATCH (p)-[seen:HAS_PART]->(s:Sequence)
    WHERE seen.role <> 'test' AND s.uid <> own.uid AND s.draw = own.draw
  } AS learnt
  RETURN count(e) AS frames, sum(CASE WHEN learnt THEN 1 ELSE 0 END) AS leaked
}
RETURN part.sequence AS sequence, frames, leaked
"""
