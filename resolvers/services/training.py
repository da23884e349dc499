"""Training: drives the numerics' generator of events and writes what it says into the graph.

Files first: a checkpoint is on disk before its node. The directory belongs to the run, so that a later attempt of the
same run goes on from the last checkpoint, and repeats in the graph only what is already there.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from graph.queries import splits, training
from graph.queries.runs import RunRow
from nvp.failpoints import reach
from nvp.model.ridge import RidgeConfig
from nvp.training.config import TrainingConfig
from nvp.training.data import TrainingData
from nvp.training.events import Begun, CheckpointSaved, EpochDone, Finished, Progress, TrainingEvent
from resolvers.services.context import Services
from resolvers.services.leave_out import common_ground
from resolvers.services.loading import load_parts
from resolvers.services.ridge import train_ridge
from resolvers.services.settings import fitted
from resolvers.services.version import code_version
from resolvers.task import Task


async def execute(services: Services, run: RunRow, task: Task) -> None:
    """Train the model that `run.config` describes on its split."""
    config = run.config
    split = await splits.split(services.gateway, config["split"])
    await task.report(run.progress, "reading the fields")
    data = TrainingData(
        train=await load_parts(services, split.of("train")), validation=await load_parts(services, split.of("val"))
    )
    if "left_out" in config:
        data = await common_ground(services, split, data)
    directory = services.store.root / "runs" / run.uid
    events = begin(config, run.rng_seed, data, directory, checkpoint_seconds=services.settings.lease_seconds)
    begun = await task.advance(events)
    assert isinstance(begun, Begun)  # the first event of every training
    model = await training.create_model(
        services.gateway,
        task.lease,
        name=model_name(config),
        architecture=config["model"],
        domain=config["domain"],
        split=split.uid,
        config=begun.config,
        rng_seed=run.rng_seed,
        code_version=code_version(),
        data_digest=begun.data_digest,
        parameter_count=begun.parameters,
    )
    if config["model"] != "ridge":
        await task.report(run.progress, "compiling")
        reach("compiling")
    while (event := await task.advance(events)) is not None:
        await _record(services, task, model, event)
        if isinstance(event, CheckpointSaved):
            await _remove_superseded(services, task, model, directory, keep=kept(config))


def begin(
    config: Mapping[str, Any], rng_seed: int, data: TrainingData, directory: Path, *, checkpoint_seconds: float
) -> Iterator[TrainingEvent]:
    """The training that a run's config describes; nothing is computed yet.

    By default a checkpoint per lease: whoever takes over from a lost worker has at most as much to repeat as it had to
    wait.
    """
    if config["model"] == "ridge":
        ridge = RidgeConfig(history=config["history"] or RidgeConfig().history)
        return train_ridge(ridge, data, directory=directory)
    from nvp.training.trainer import train  # JAX, flax and orbax: ridge does without

    given = {
        "checkpoint_seconds": checkpoint_seconds,
        **config.get("settings", {}),
        "size": config["model"],
        "history": config["history"],
        "rng_seed": rng_seed,
        "epochs": config["epochs"],
        "seconds": config["seconds"],
    }
    return train(TrainingConfig(**fitted(TrainingConfig, given)), data, directory=directory, resume=True)


def kept(config: Mapping[str, Any]) -> int:
    """How many superseded checkpoints stay beside the best."""
    return int(config.get("settings", {}).get("keep", TrainingConfig().keep))


def model_name(config: Mapping[str, Any]) -> str:
    """For people."""
    return f"{config['model']} {'never shown' if 'left_out' in config else 'on'} {config['domain']}"


async def _record(services: Services, task: Task, model: str, event: TrainingEvent) -> None:
    match event:
        case Progress():
            await task.report(event.fraction, said(event))
        case EpochDone():
            metrics = {field.name: getattr(event, field.name) for field in fields(event)}
            await training.record_epoch(
                services.gateway, task.lease, epoch=event.epoch, step=event.step, metrics=metrics
            )
        case CheckpointSaved():
            await _checkpoint(services, task, model, event)
        case Finished():
            best = await _checkpoint(services, task, model, event)
            await training.finish_model(services.gateway, task.lease, model=model, best_checkpoint=best)


async def _checkpoint(services: Services, task: Task, model: str, event: CheckpointSaved | Finished) -> str:
    """Record a checkpoint whose files are complete; the same parameters again are the same node."""
    reach("renamed")
    return await training.record_checkpoint(
        services.gateway,
        task.lease,
        model=model,
        step=event.step,
        epoch=event.epoch,
        uri=event.path.relative_to(services.store.root).as_posix(),
        sha256=event.sha256,
        metrics={"val_fidelity": event.val_fidelity},
    )


async def _remove_superseded(services: Services, task: Task, model: str, directory: Path, *, keep: int) -> None:
    """The graph gives them up first: a file that is missing is then no loss."""
    for uri in await training.retire(services.gateway, task.lease, model=model, keep=keep):
        path = services.store.root / uri
        if directory in path.parents:
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)


def said(event: Progress) -> str:
    """One line for people: epoch, loss, fidelity, speed."""
    fidelity = "–" if event.fidelity is None else f"{event.fidelity:.3f}"
    return (
        f"epoch {event.epoch}/{event.epochs} · loss {event.loss:.4f} · fidelity {fidelity} · "
        f"{event.samples_per_second:.0f} samples/s"
    )
