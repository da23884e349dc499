"""Trainings that happened without this graph: recorded afterwards, whole or not at all, and the same once as twice.

Everything has an identity of its own before it comes here (run, split, model, checkpoint, epochs), so that recording
is one transaction of MERGEs: whoever repeats it, or is a moment later than another, finds all of it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from neo4j import AsyncManagedTransaction

from graph import identity
from graph.errors import Conflict
from graph.gateway import Gateway
from graph.queries.numbers import finite
from graph.queries.splits import Part
from graph.queries.training import CURVES, recipe_of

CANDIDATES = 50
"""Sequences at most that are looked at for each one sought: many may begin with the same frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineTrainingRow:
    """A finished training as its bundle tells it; uids are those of `graph.identity`."""

    run: str
    # of the bundle's manifest: the same run with another account is an error
    bundle_sha256: str
    config: Mapping[str, Any]
    rng_seed: int
    code_version: str
    device: str | None
    attempts: int
    created_at: datetime
    finished_at: datetime
    # why it ended
    message: str
    # uid, name, kind, gap
    split: Mapping[str, Any]
    # name, architecture, domain, config, parameter_count
    model: Mapping[str, Any]
    # step, epoch, uri, sha256, val_fidelity
    checkpoint: Mapping[str, Any]
    # numbers of each epoch; `epoch`, `step` and `recorded_at` (ISO) among them
    epochs: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Match:
    """Where a sequence could begin: a sequence of the graph, and the t_index of the frame that is its first."""

    sequence: str
    first: int
    # the sequence's time step
    dt: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the graph has now, and how much of it is new."""

    model: str
    checkpoint: str
    nodes: int
    relationships: int


async def beginnings(gateway: Gateway, sha256: str, *, preferred: str) -> list[Match]:
    """Sequences that have this very frame, `preferred` (a uid) before all others."""
    rows = await gateway.read(_BEGINNINGS, sha256=sha256, preferred=preferred, limit=CANDIDATES)
    return [Match(**row) for row in rows]


async def frames(gateway: Gateway, sequence: str, first: int, last: int) -> list[tuple[int, str, str | None]]:
    """t_index, sha256 and sha256 of the context of a sequence's frames in a range, in order of time."""
    rows = await gateway.read(_FRAMES, sequence=sequence, first=first, last=last, limit=max(last - first + 1, 0))
    return [(row["t_index"], row["sha256"], row["context_sha256"]) for row in rows]


async def is_known(gateway: Gateway, training: OfflineTrainingRow) -> bool:
    """Whether the graph has this very run; raises Conflict where it has another account of it, or one of its own."""
    rows = await gateway.read(_ACCOUNT, run=training.run)
    if rows and rows[0]["bundle_sha256"] != training.bundle_sha256:
        raise other_account(training, rows[0]["bundle_sha256"])
    return bool(rows)


def other_account(training: OfflineTrainingRow, known: str | None) -> Conflict:
    """Of the same run: what was imported (or is on disk already) is not what the bundle says."""
    here = "as it is known here" if known is None else f"as the graph has it ({known[:12]}…)"
    return Conflict(
        "OTHER_BUNDLE",
        f"expected run {training.run} {here}, got another account of it ({training.bundle_sha256[:12]}…).",
        next_step="Import the bundle that was imported first, or train into a new folder.",
    )


async def record(gateway: Gateway, training: OfflineTrainingRow, parts: Sequence[Part], *, absent: int) -> Recorded:
    """Write the run with everything it made; `parts` are those of its split whose sequences the graph has.

    `absent` is how many for training and validation it has not: as long as there are any, nobody can say what the
    model has learnt.

    A repeated call adds what is new to the graph since, which is nothing or links to sequences ingested meanwhile.
    Raises Conflict where the graph holds another account of this run.
    """
    row = training
    model = identity.model_uid(row.model["config"], row.split["uid"], row.rng_seed, row.code_version)
    checkpoint = identity.checkpoint_uid(model, row.checkpoint["step"], row.checkpoint["sha256"])
    sequences = sorted({part.sequence for part in parts})
    parameters = {
        "run": row.run,
        "bundle_sha256": row.bundle_sha256,
        "run_properties": {
            "bundle_sha256": row.bundle_sha256,
            "kind": "training",
            "state": "SUCCEEDED",
            "offline": True,
            "capability": "batch",
            "config_json": identity.canonical_json(row.config).decode(),
            "rng_seed": row.rng_seed,
            "attempt": row.attempts,
            "cancel_requested": False,
            "progress": 1.0,
            "message": row.message,
            "seq": 1,
            "device": row.device,
            "code_version": row.code_version,
            "created_at": row.created_at,
            "started_at": row.created_at,
            "finished_at": row.finished_at,
        },
        "split": row.split["uid"],
        "split_properties": {name: row.split[name] for name in ("name", "kind", "gap")},
        "model": model,
        "model_properties": {
            "name": row.model["name"],
            "architecture": row.model["architecture"],
            "domain": row.model["domain"],
            "split": row.split["uid"],
            "config_json": identity.canonical_json(row.model["config"]).decode(),
            "rng_seed": row.rng_seed,
            "code_version": row.code_version,
            "recipe": recipe_of(row.model["config"]),
            "data_digest": row.model.get("data_digest"),
            "parameter_count": row.model["parameter_count"],
        },
        "checkpoint": checkpoint,
        "uri": row.checkpoint["uri"],
        "checkpoint_properties": _checkpoint(model, row.checkpoint),
        "epochs": [_epoch(row.run, one) for one in row.epochs],
        "parts": [
            {"role": part.role, "sequence": part.sequence, "first": part.first, "last": part.last} for part in parts
        ],
        "sequences": sequences,
        "absent": absent,
    }

    async def work(tx: AsyncManagedTransaction) -> Recorded:
        counts = [0, 0]
        known: str | None = None
        for query in (_RUN, _MADE, _EPOCHS, _PARTS, _INPUTS):
            result = await tx.run(query, parameters)
            if query is _RUN:
                known = (await result.single(strict=True))["bundle_sha256"]
                if known != row.bundle_sha256:
                    raise other_account(row, known)
            counters = (await result.consume()).counters
            counts[0] += counters.nodes_created
            counts[1] += counters.relationships_created
        return Recorded(model=model, checkpoint=checkpoint, nodes=counts[0], relationships=counts[1])

    return await gateway.transact(work)


def _checkpoint(model: str, said: Mapping[str, Any]) -> dict[str, Any]:
    numbers = finite({"val_fidelity": said["val_fidelity"]})
    return {
        "model": model,
        "step": said["step"],
        "epoch": said["epoch"],
        "uri": said["uri"],
        "sha256": said["sha256"],
        "val_fidelity": numbers["val_fidelity"],
        "metrics_json": identity.canonical_json(numbers).decode(),
    }


def _epoch(run: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """As `training.record_epoch` writes it, at the time when it ended."""
    numbers = finite({name: value for name, value in said.items() if name != "recorded_at"})
    return {
        "uid": identity.epoch_uid(run, said["epoch"]),
        "properties": {
            "epoch": said["epoch"],
            "step": said["step"],
            "metrics_json": identity.canonical_json(numbers).decode(),
            "recorded_at": datetime.fromisoformat(said["recorded_at"]),
            **{name: numbers.get(name) for name in CURVES},
        },
    }


_BEGINNINGS: LiteralString = """
MATCH (e:EnergySnapshot {sha256: $sha256}) WHERE e.sequence IS NOT NULL AND NOT e:Predicted
WITH e ORDER BY e.sequence <> $preferred, e.sequence, e.t_index LIMIT $limit
MATCH (s:Sequence {uid: e.sequence})
RETURN s.uid AS sequence, e.t_index AS first, s.dt AS dt
ORDER BY s.uid <> $preferred, s.uid, e.t_index LIMIT $limit
"""

_FRAMES: LiteralString = """
MATCH (e:EnergySnapshot {sequence: $sequence}) WHERE e.t_index >= $first AND e.t_index <= $last
RETURN e.t_index AS t_index, e.sha256 AS sha256, e.context_sha256 AS context_sha256
ORDER BY e.t_index LIMIT $limit
"""

_ACCOUNT: LiteralString = "MATCH (r:Run {uid: $run}) RETURN r.bundle_sha256 AS bundle_sha256 LIMIT 1"

_RUN: LiteralString = """
MERGE (r:Run {uid: $run})
ON CREATE SET r:TrainingRun, r += $run_properties
SET r.touched_at = datetime()
RETURN r.bundle_sha256 AS bundle_sha256
"""

# files that were collected are there again, for as long as those of a new checkpoint
_MADE: LiteralString = """
MATCH (r:Run {uid: $run})
MERGE (p:Split {uid: $split})
ON CREATE SET p += $split_properties, p.created_at = datetime()
SET p.absent = $absent
MERGE (m:Model {uid: $model})
ON CREATE SET m += $model_properties, m.created_at = datetime()
MERGE (c:Checkpoint {uid: $checkpoint})
ON CREATE SET c += $checkpoint_properties, c.created_at = datetime()
FOREACH (_ IN CASE WHEN c.removed_at IS NULL THEN [] ELSE [1] END |
  SET c.uri = $uri, c.created_at = datetime()
  REMOVE c.removed_at, c.removed_by)
SET m.best_checkpoint = coalesce(m.best_checkpoint, c.uid)
MERGE (m)-[:HAS_CHECKPOINT]->(c)
MERGE (m)-[:WAS_GENERATED_BY]->(r)
MERGE (c)-[:WAS_GENERATED_BY]->(r)
MERGE (r)-[:USED {role: 'split'}]->(p)
"""

_EPOCHS: LiteralString = """
MATCH (r:Run {uid: $run})
UNWIND $epochs AS epoch
MERGE (e:Epoch {uid: epoch.uid})
ON CREATE SET e += epoch.properties
MERGE (r)-[:EPOCH]->(e)
"""

_PARTS: LiteralString = """
MATCH (p:Split {uid: $split})
UNWIND $parts AS part
MATCH (s:Sequence {uid: part.sequence})
MERGE (p)-[:HAS_PART {role: part.role, first: part.first, last: part.last}]->(s)
"""

_INPUTS: LiteralString = """
MATCH (r:Run {uid: $run})
UNWIND $sequences AS uid
MATCH (s:Sequence {uid: uid})
MERGE (r)-[:USED {role: 'sequence'}]->(s)
"""
