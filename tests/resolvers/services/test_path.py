"""The whole path with ridge regression as the model: train, predict alone and in a batch, evaluate over seeds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graph.errors import GraphError
from graph.queries import evaluation, prediction, runs, timeline, training
from graph.queries.training import ModelRow
from nvp.training.events import Begun, CheckpointSaved, Finished, TrainingEvent
from resolvers.services import prediction as predicting
from resolvers.services import training as executing
from resolvers.services.audit import audit_graph
from resolvers.services.context import Services
from resolvers.services.loading import load
from resolvers.services.submission import (
    EvaluationRequest,
    PredictionRequest,
    TrainingRequest,
    submit_evaluation,
    submit_prediction,
    submit_training,
)
from resolvers.task import Task
from tests.resolvers.carried import carried, ingest_carried
from tests.resolvers.working import leased, worked

pytestmark = pytest.mark.db

RIDGE = TrainingRequest(domain="fluid_dynamics", model="ridge", history=2)


async def _trained(services: Services, seed: int = 0) -> ModelRow:
    run = await worked(services, await submit_training(services, replace(RIDGE, seed=seed)))
    model = await training.model_of_run(services.gateway, run.uid)
    assert model is not None
    return model


async def _snapshots(services: Services, sequence: str) -> list[str]:
    return [frame.uid for frame in await timeline.frames(services.gateway, sequence, -1000, 1000)]


async def test_training_writes_model_epoch_and_checkpoint(services: Services) -> None:
    await ingest_carried(services, sequences=3)
    model = await _trained(services)
    assert (model.architecture, model.domain, model.config["kind"]) == ("ridge", "fluid_dynamics", "ridge")
    assert model.code_version.startswith("0.")
    assert model.parameter_count is not None
    assert model.parameter_count > 25
    assert (model.recipe, len(model.data_digest or "")) == (None, 64)
    (checkpoint,) = await training.checkpoints(services.gateway, model.uid)
    assert checkpoint.uid == model.best_checkpoint
    assert checkpoint.val_fidelity is not None
    assert checkpoint.val_fidelity > 0.9  # the field is carried on exactly: linear in what ridge sees
    assert (services.store.root / checkpoint.uri / "config.json").is_file()
    epochs = await services.gateway.read("MATCH (:TrainingRun)-[:EPOCH]->(e) RETURN e.val_fidelity AS f LIMIT 9")
    assert [row["f"] for row in epochs] == [checkpoint.val_fidelity]


async def test_superseded_checkpoints_lose_their_files_unless_something_refers_to_them(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def events(config: Any, seed: int, data: Any, directory: Path, **_: Any) -> Iterator[TrainingEvent]:
        yield Begun(config={"kind": "nvp"}, parameters=1)
        for step in range(1, 6):
            path = directory / f"best-{step}"
            path.mkdir(parents=True)
            facts: dict[str, Any] = {"step": step, "epoch": step, "val_fidelity": 0.1 * step, "sha256": f"{step:064}"}
            yield CheckpointSaved(path=path, **facts)
        yield Finished(path=path, **facts, seconds=1.0, reason="epochs")

    monkeypatch.setattr(executing, "begin", events)
    await ingest_carried(services, sequences=3)
    asked = TrainingRequest(domain="fluid_dynamics", settings={"keep": 1})
    run = await worked(services, await submit_training(services, asked))
    left = sorted(path.name for path in (services.store.root / "runs" / run.uid).iterdir())
    assert left == ["best-4", "best-5"]
    found = await audit_graph(services)
    # what other tests have left in the store are orphans
    assert [one for one in found.defects if one.kind != "orphan_file" or run.uid in one.uri] == []
    model = await training.model_of_run(services.gateway, run.uid)
    assert model is not None
    assert len(await training.checkpoints(services.gateway, model.uid)) == 5


async def test_training_again_is_the_same_model(services: Services) -> None:
    await ingest_carried(services, sequences=3)
    first = await _trained(services)
    again = await worked(services, await submit_training(services, replace(RIDGE, force=True)))
    model = await training.model_of_run(services.gateway, again.uid)
    assert model is not None
    assert (model.uid, model.best_checkpoint) == (first.uid, first.best_checkpoint)
    assert len(await training.checkpoints(services.gateway, first.uid)) == 1


async def test_a_prediction_is_chained_and_scored(services: Services) -> None:
    (sequence, *_) = await ingest_carried(services, sequences=3)
    model = await _trained(services)
    frames = await _snapshots(services, sequence)
    request = PredictionRequest(checkpoints=(str(model.best_checkpoint),), starts=(frames[-3],), steps=4)
    run = await worked(services, await submit_prediction(services, request))
    (uid,) = await prediction.predictions_of_run(services.gateway, run.uid)
    made = await prediction.prediction(services.gateway, uid)
    # two of four steps have come true
    assert [state.truth for state in made.states] == [frames[-2], frames[-1], None, None]
    assert made.states[0].scores["fidelity"] == pytest.approx(1.0, abs=0.05)
    assert made.states[2].scores == {}
    stored = services.store.read_array(made.states[0].uri)
    np.testing.assert_allclose(stored, carried(seed=0).energy[-2], atol=0.2)
    spread = services.store.read_array(str(made.states[0].spread_uri))
    assert (spread > 0).all()
    links = await services.gateway.read(
        "MATCH p = (:EnergySnapshot {uid: $uid})-[:EVOLVES_TO*4]->(:Predicted) RETURN count(p) AS n", uid=frames[-3]
    )
    assert links == [{"n": 1}]


async def test_predictions_that_arrive_together_are_one_batch(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sequence, *_) = await ingest_carried(services, sequences=3)
    checkpoint = str((await _trained(services)).best_checkpoint)
    frames = await _snapshots(services, sequence)
    wanted = [(frames[10], 2), (frames[20], 2), (frames[30], 2), (frames[0], 2), (frames[12], 3)]
    together = []
    for snapshot, steps in wanted:
        request = PredictionRequest(checkpoints=(checkpoint,), starts=(snapshot,), steps=steps)
        run = await leased(services, await submit_prediction(services, request))
        together.append((run, Task(services.gateway, run)))
    together[1][1].cancel()
    sizes = []
    window = predicting._window
    monkeypatch.setattr(predicting, "_window", lambda starts: sizes.append(len(starts)) or window(starts))
    errors = await predicting.execute_batch(services, together)
    # the cancelled one and the one without history fall out; what differs in steps is a batch of its own
    assert sorted(sizes) == [1, 2]
    names = [type(errors[run.uid]).__name__ for run, _ in together]
    assert names == ["NoneType", "Cancelled", "NoneType", "GraphError", "NoneType"]
    # and each says the same as it would alone
    (uid,) = await prediction.predictions_of_run(services.gateway, together[2][0].uid)
    alone = PredictionRequest(checkpoints=(checkpoint,), starts=(frames[30],), steps=2, force=True)
    run = await worked(services, await submit_prediction(services, alone))
    (single,) = await prediction.predictions_of_run(services.gateway, run.uid)
    one, other = [await prediction.prediction(services.gateway, each) for each in (uid, single)]
    for batched, lone in zip(one.states, other.states, strict=True):
        np.testing.assert_allclose(
            services.store.read_array(batched.uri), services.store.read_array(lone.uri), atol=1e-5
        )


async def test_a_repeated_attempt_predicts_nothing_twice(services: Services) -> None:
    (sequence, *_) = await ingest_carried(services, sequences=3)
    checkpoint = str((await _trained(services)).best_checkpoint)
    start = (await _snapshots(services, sequence))[5]
    run = await leased(
        services, await submit_prediction(services, PredictionRequest(checkpoints=(checkpoint,), starts=(start,)))
    )
    for _ in range(2):
        await predicting.execute(services, run, Task(services.gateway, run))
    assert len(await prediction.predictions_of_run(services.gateway, run.uid)) == 1


async def test_a_worker_that_lost_its_lease_writes_nothing(services: Services) -> None:
    (sequence, *_) = await ingest_carried(services, sequences=3)
    checkpoint = str((await _trained(services)).best_checkpoint)
    start = (await _snapshots(services, sequence))[5]
    submitted = await submit_prediction(services, PredictionRequest(checkpoints=(checkpoint,), starts=(start,)))
    run = await leased(services, submitted, lease_seconds=0.05)
    await asyncio.sleep(0.1)
    assert await runs.reap(services.gateway, max_attempts=3) == 1
    with pytest.raises(GraphError, match="lease"):
        await predicting.execute(services, run, Task(services.gateway, run))
    assert await prediction.predictions_of_run(services.gateway, run.uid) == []


async def test_evaluation_averages_over_seeds(services: Services) -> None:
    await ingest_carried(services, sequences=3)
    checkpoints = tuple([str((await _trained(services, seed)).best_checkpoint) for seed in (0, 1)])
    assert checkpoints[0] != checkpoints[1]  # the same numbers, but another model
    run = await worked(services, await submit_evaluation(services, EvaluationRequest(checkpoints=checkpoints)))
    found = await evaluation.evaluations_of_run(services.gateway, run.uid)
    assert {row.checkpoint for row in found} == set(checkpoints)
    mean = found[0].scores["over_seeds"]
    assert mean["seeds"] == 2
    assert mean["fidelity"]["pooled"] == pytest.approx(np.mean([row.fidelity for row in found]))
    assert mean["baselines"]["persistence"]["pooled"] == 0
    assert mean["fidelity"]["pooled"] > 0.9 > mean["linear_fidelity"]


async def test_evaluation_of_a_range(services: Services) -> None:
    (sequence, *_) = await ingest_carried(services, sequences=3)
    checkpoint = str((await _trained(services)).best_checkpoint)
    request = EvaluationRequest(checkpoints=(checkpoint,), sequences=(sequence,), begin="10", end="19")
    run = await worked(services, await submit_evaluation(services, request))
    (row,) = await evaluation.evaluations_of_run(services.gateway, run.uid)
    assert [(part.first, part.last) for part in row.stretches] == [(10, 19)]
    assert row.n is not None
    assert 0 < row.n < 10
    with pytest.raises(GraphError, match="Widen"):
        await submit_evaluation(services, replace(request, begin="900", end=None))
    with pytest.raises(GraphError, match="ISO time"):
        await submit_evaluation(services, replace(request, begin="yesterday"))


async def test_loading_refuses_a_gap(services: Services) -> None:
    (sequence,) = await ingest_carried(services, frames=8)
    series = await load(services, sequence, 2, 5)
    assert (len(series), series.first, series.uid) == (4, 2, sequence)
    np.testing.assert_array_equal(series.energy, carried(frames=8).energy[2:6])
    np.testing.assert_array_equal(series.context["velocity"], carried(frames=8).context["velocity"][2:6])
    with pytest.raises(GraphError, match="4 in 1 stretches"):
        await load(services, sequence, 4, 9)
