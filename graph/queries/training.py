"""Training: a Model, its Checkpoints and the Epochs of the run that makes them; every write is fenced by its lease.

All writes are idempotent, so that an attempt that takes over from a lost worker may repeat what that one had done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from neo4j import AsyncManagedTransaction

from graph import identity
from graph.errors import NotFound
from graph.gateway import Gateway
from graph.queries.leases import Lease, fence
from graph.queries.numbers import finite
from graph.queries.rows import native, parsed

CURVES = ("train_loss", "val_loss", "val_fidelity", "learning_rate", "samples_per_second", "seconds")
"""The metrics of an epoch that are properties of their own; all of them are in `metrics_json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A Model as it was when it was read."""

    uid: str
    name: str
    architecture: str
    domain: str
    # uid of its Split
    split: str
    config: dict[str, Any]
    rng_seed: int
    code_version: str
    # how it was trained, and sha256 over its training part's frames; None where that was not recorded
    recipe: str | None
    data_digest: str | None
    parameter_count: int | None
    # uid of the checkpoint that validated best; None until the training has finished
    best_checkpoint: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRow:
    """A Checkpoint with its Model: what it takes to load a forecaster and to say where it comes from."""

    uid: str
    step: int
    epoch: int
    uri: str
    sha256: str
    val_fidelity: float | None
    metrics: dict[str, Any]
    created_at: datetime
    model: ModelRow


async def create_model(
    gateway: Gateway,
    lease: Lease,
    *,
    name: str,
    architecture: str,
    domain: str,
    split: str,
    config: Mapping[str, Any],
    rng_seed: int,
    code_version: str,
    data_digest: str | None = None,
    parameter_count: int | None = None,
) -> str:
    """Write the Model that this run trains, or find it; its uid. Raises LeaseLost, and NotFound for the split."""
    uid = identity.model_uid(config, split, rng_seed, code_version)
    properties = {
        "name": name,
        "architecture": architecture,
        "domain": domain,
        "split": split,
        "config_json": identity.canonical_json(config).decode(),
        "rng_seed": rng_seed,
        "code_version": code_version,
        "recipe": recipe_of(config),
        "data_digest": data_digest or None,
    }

    async def work(tx: AsyncManagedTransaction) -> None:
        await fence(tx, lease)
        result = await tx.run(
            _CREATE_MODEL,
            run=lease.run,
            uid=uid,
            split=split,
            properties=properties,
            parameter_count=parameter_count,
        )
        if await result.single() is None:
            raise NotFound("Split", split, next_step="Create it by `create_split`.")

    await gateway.transact(work)
    return uid


def recipe_of(config: Mapping[str, Any]) -> str | None:
    """The recipe that a model's configuration names; None for a model that is solved rather than trained."""
    recipe: str | None = (config.get("training") or {}).get("recipe")
    return recipe


async def record_epoch(gateway: Gateway, lease: Lease, *, epoch: int, step: int, metrics: Mapping[str, Any]) -> str:
    """Write one epoch of the run, replacing what an earlier attempt said of it; its uid. Raises LeaseLost."""
    uid = identity.epoch_uid(lease.run, epoch)
    numbers = finite(metrics)
    properties = {
        "epoch": epoch,
        "step": step,
        "metrics_json": identity.canonical_json(numbers).decode(),
        **{name: numbers.get(name) for name in CURVES},
    }

    async def work(tx: AsyncManagedTransaction) -> None:
        await fence(tx, lease)
        await (await tx.run(_RECORD_EPOCH, run=lease.run, uid=uid, properties=properties)).consume()

    await gateway.transact(work)
    return uid


async def record_checkpoint(
    gateway: Gateway,
    lease: Lease,
    *,
    model: str,
    step: int,
    epoch: int,
    uri: str,
    sha256: str,
    metrics: Mapping[str, Any],
) -> str:
    """Write a checkpoint whose files are in place, derived from the model's latest before it; its uid.

    `metrics` may hold `val_fidelity`. Raises LeaseLost, and NotFound for the model.
    """
    uid = identity.checkpoint_uid(model, step, sha256)
    numbers = finite(metrics)
    properties = {
        "model": model,
        "step": step,
        "epoch": epoch,
        "sha256": sha256,
        "val_fidelity": numbers.get("val_fidelity"),
        "metrics_json": identity.canonical_json(numbers).decode(),
    }

    async def work(tx: AsyncManagedTransaction) -> None:
        await fence(tx, lease)
        result = await tx.run(
            _RECORD_CHECKPOINT, run=lease.run, uid=uid, model=model, step=step, uri=uri, properties=properties
        )
        if await result.single() is None:
            raise NotFound("Model", model, next_step="Create it by `create_model`.")

    await gateway.transact(work)
    return uid


async def retire(gateway: Gateway, lease: Lease, *, model: str, keep: int) -> list[str]:
    """Give up what this run's checkpoints have superseded, but for the last `keep`; the uris of all that were given up.

    A checkpoint that a prediction, an evaluation or a run refers to, or that the model names its best, stays. Files
    are removed afterwards; whoever is interrupted in that gets the same uris again. Raises LeaseLost.
    """

    async def work(tx: AsyncManagedTransaction) -> list[str]:
        await fence(tx, lease)
        result = await tx.run(_RETIRE, run=lease.run, model=model, spared=keep + 1)
        return [record["uri"] async for record in result]

    return await gateway.transact(work)


async def finish_model(gateway: Gateway, lease: Lease, *, model: str, best_checkpoint: str) -> None:
    """Say which checkpoint validated best. Raises LeaseLost, and NotFound where the model has no such checkpoint."""

    async def work(tx: AsyncManagedTransaction) -> None:
        await fence(tx, lease)
        result = await tx.run(_FINISH_MODEL, model=model, checkpoint=best_checkpoint)
        if await result.single() is None:
            raise NotFound("Checkpoint", best_checkpoint, next_step=f"Record it under model {model!r} first.")

    await gateway.transact(work)


async def checkpoint(gateway: Gateway, uid: str) -> CheckpointRow:
    """The checkpoint of this uid with its model; raises NotFound."""
    rows = await gateway.read(_CHECKPOINT, uid=uid)
    if not rows:
        hint = "`fieldgraph train` makes one; `fieldgraph runs show RUN` names that of a training."
        raise NotFound("Checkpoint", uid, next_step=hint)
    return _checkpoint(rows[0]["checkpoint"])


async def checkpoints(gateway: Gateway, model_uid: str, *, limit: int = 1000) -> list[CheckpointRow]:
    """The model's checkpoints, latest first."""
    rows = await gateway.read(_CHECKPOINTS, model=model_uid, limit=limit)
    return [_checkpoint(row["checkpoint"]) for row in rows]


async def model(gateway: Gateway, uid: str) -> ModelRow:
    """The model of this uid; raises NotFound."""
    rows = await gateway.read(_MODEL, uid=uid)
    if not rows:
        raise NotFound("Model", uid, next_step="Train it first.")
    return _model(rows[0]["model"])


async def model_of_run(gateway: Gateway, run_uid: str) -> ModelRow | None:
    """The model that a training run made; None before it did."""
    rows = await gateway.read(_MODEL_OF_RUN, run=run_uid)
    return _model(rows[0]["model"]) if rows else None


def _model(row: Mapping[str, Any]) -> ModelRow:
    values = native(row)
    return ModelRow(config=parsed(values.pop("config_json")), **values)


def _checkpoint(row: Mapping[str, Any]) -> CheckpointRow:
    values = native(row)
    return CheckpointRow(metrics=parsed(values.pop("metrics_json")), model=_model(values.pop("of")), **values)


_MODEL_FIELDS: LiteralString = """m {.uid, .name, .architecture, .domain, .split, .config_json, .rng_seed,
  .code_version, .recipe, .data_digest, .parameter_count, .best_checkpoint, .created_at}"""

_CREATE_MODEL: LiteralString = """
MATCH (r:Run {uid: $run})
MATCH (p:Split {uid: $split})
MERGE (m:Model {uid: $uid})
ON CREATE SET m += $properties, m.created_at = datetime()
SET m.parameter_count = coalesce($parameter_count, m.parameter_count)
MERGE (m)-[:WAS_GENERATED_BY]->(r)
MERGE (r)-[:USED {role: 'split'}]->(p)
RETURN m.uid AS uid
"""

_RECORD_EPOCH: LiteralString = """
MATCH (r:Run {uid: $run})
MERGE (e:Epoch {uid: $uid})
SET e += $properties, e.recorded_at = datetime()
MERGE (r)-[:EPOCH]->(e)
"""

_RECORD_CHECKPOINT: LiteralString = """
MATCH (r:Run {uid: $run})
MATCH (m:Model {uid: $model})
MERGE (c:Checkpoint {uid: $uid})
ON CREATE SET c += $properties, c.created_at = datetime()
SET c.uri = $uri
REMOVE c.removed_at, c.removed_by
MERGE (m)-[:HAS_CHECKPOINT]->(c)
MERGE (c)-[:WAS_GENERATED_BY]->(r)
WITH m, c
CALL (m, c) {
  MATCH (m)-[:HAS_CHECKPOINT]->(earlier:Checkpoint) WHERE earlier.step < $step
  WITH c, earlier ORDER BY earlier.step DESC, earlier.created_at DESC LIMIT 1
  WHERE NOT EXISTS {(c)-[:WAS_DERIVED_FROM]->()}
  CREATE (c)-[:WAS_DERIVED_FROM]->(earlier)
}
RETURN c.uid AS uid
"""

# the property is set before anybody looks for references: who wants to refer to the node waits for its lock, or was
# there before
_RETIRE: LiteralString = """
MATCH (m:Model {uid: $model})
CALL (m) {
  MATCH (m)-[:HAS_CHECKPOINT]->(c:Checkpoint)-[:WAS_GENERATED_BY]->(:Run {uid: $run})
  WITH m, c ORDER BY c.step DESC, c.created_at DESC SKIP $spared
  WITH m, c WHERE c.removed_at IS NULL AND c.uid <> coalesce(m.best_checkpoint, '')
  SET c.removed_at = datetime(), c.removed_by = $run
  WITH c WHERE EXISTS {(c)<-[:BY|SCORES|USED]-()}
  REMOVE c.removed_at, c.removed_by
  RETURN count(*) AS needed
}
MATCH (m)-[:HAS_CHECKPOINT]->(c:Checkpoint)-[:WAS_GENERATED_BY]->(:Run {uid: $run})
WHERE c.removed_at IS NOT NULL
RETURN c.uri AS uri ORDER BY c.step LIMIT 1000
"""

_FINISH_MODEL: LiteralString = """
MATCH (m:Model {uid: $model})-[:HAS_CHECKPOINT]->(c:Checkpoint {uid: $checkpoint})
SET m.best_checkpoint = c.uid
RETURN m.uid AS uid
"""

_CHECKPOINT_ROW: LiteralString = (
    """
RETURN c {.uid, .step, .epoch, .uri, .sha256, .val_fidelity, .metrics_json, .created_at, of: """
    + _MODEL_FIELDS
    + "} AS checkpoint\n"
)

_CHECKPOINT: LiteralString = (
    "MATCH (c:Checkpoint {uid: $uid})<-[:HAS_CHECKPOINT]-(m:Model)" + _CHECKPOINT_ROW + "LIMIT 1"
)

_CHECKPOINTS: LiteralString = (
    "MATCH (m:Model {uid: $model})-[:HAS_CHECKPOINT]->(c:Checkpoint)"
    + _CHECKPOINT_ROW
    + "ORDER BY c.step DESC, c.created_at DESC LIMIT $limit"
)

_MODEL: LiteralString = "MATCH (m:Model {uid: $uid}) RETURN " + _MODEL_FIELDS + " AS model LIMIT 1"

_MODEL_OF_RUN: LiteralString = (
    "MATCH (:Run {uid: $run})<-[:WAS_GENERATED_BY]-(m:Model) RETURN " + _MODEL_FIELDS + " AS model LIMIT 1"
)
