"""`kill -9` in mid-training: the run goes on from its last checkpoint, and nothing is there twice."""

from __future__ import annotations

import psutil
import pytest

from graph.queries import runs, training
from graph.queries.runs import RunRow
from resolvers.services.context import Services
from resolvers.services.submission import TrainingRequest, submit_training
from tests.e2e.conftest import Start, until
from tests.resolvers.carried import ingest_carried

pytestmark = [pytest.mark.db, pytest.mark.timeout(600)]

EPOCHS = 30
CHECKPOINTS_OF_MODEL = """
MATCH (:Model {uid: $model})-[:HAS_CHECKPOINT]->(c:Checkpoint) RETURN c.uri AS uri, c.removed_at IS NULL AS kept
"""
EPOCHS_OF_RUN = """
MATCH (:Run {uid: $run})-[:EPOCH]->(e:Epoch) RETURN e.epoch AS epoch, toString(e.recorded_at) AS at LIMIT 1000
"""


async def _begun(services: Services, seed: int) -> RunRow:
    await ingest_carried(services, sequences=3, frames=25)
    return await submit_training(
        services, TrainingRequest(domain="fluid_dynamics", model="tiny", epochs=EPOCHS, seed=seed)
    )


def _saved_epoch(services: Services, run: RunRow) -> int:
    """Epoch of the last state that a later attempt could go on from; 0 for none."""
    places = sorted((services.store.root / "runs" / run.uid).glob("resume-*"))
    return int(places[-1].name.removeprefix("resume-")) if places else 0


async def _in_the_middle(services: Services, run: RunRow) -> None:
    async def saved() -> bool:
        now = await runs.run(services.gateway, run.uid)
        assert not now.finished, f"{now.state}: {now.error_message}"
        return _saved_epoch(services, run) > 0

    await until(saved, seconds=300, what="a first checkpoint")


async def _finished(services: Services, run: RunRow) -> RunRow:
    async def ended() -> bool:
        return (await runs.run(services.gateway, run.uid)).finished

    await until(ended, seconds=300, what="the end of the run")
    return await runs.run(services.gateway, run.uid)


async def _check(services: Services, run: RunRow, *, resumed_from: int, before: dict[int, str]) -> None:
    """Every epoch once, those before the checkpoint untouched, one model, its best checkpoint on disk."""
    after = {row["epoch"]: row["at"] for row in await services.gateway.read(EPOCHS_OF_RUN, run=run.uid)}
    assert sorted(after) == list(range(1, EPOCHS + 1))
    kept = {epoch: at for epoch, at in before.items() if epoch <= resumed_from}
    assert kept
    assert {epoch: after[epoch] for epoch in kept} == kept
    model = await training.model_of_run(services.gateway, run.uid)
    assert model is not None
    checkpoints = await training.checkpoints(services.gateway, model.uid)
    assert model.best_checkpoint in {checkpoint.uid for checkpoint in checkpoints}
    assert len({checkpoint.step for checkpoint in checkpoints}) == len(checkpoints)
    for row in await services.gateway.read(CHECKPOINTS_OF_MODEL, model=model.uid):
        assert _is_on_disk(services, row["uri"]) == row["kept"], row["uri"]
    counts = await services.gateway.read("MATCH (m:Model) RETURN count(m) AS models")
    assert counts == [{"models": 1}]


def _is_on_disk(services: Services, uri: str) -> bool:
    return (services.store.root / uri / "config.json").is_file()


async def test_a_killed_worker(services: Services, start_worker: Start) -> None:
    run = await _begun(services, seed=0)
    worker = start_worker("batch")
    await _in_the_middle(services, run)
    children = worker.children(recursive=True)
    worker.kill()
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() for child in children), "a child outlived its worker"
    saved = _saved_epoch(services, run)
    before = {row["epoch"]: row["at"] for row in await services.gateway.read(EPOCHS_OF_RUN, run=run.uid)}
    start_worker("batch")
    done = await _finished(services, run)
    assert (done.state, done.attempt) == ("SUCCEEDED", 2), done.error_message
    await _check(services, run, resumed_from=saved, before=before)


async def test_a_killed_child(services: Services, start_worker: Start) -> None:
    run = await _begun(services, seed=1)
    worker = start_worker("batch")
    await _in_the_middle(services, run)
    (child,) = worker.children()
    child.kill()
    saved = _saved_epoch(services, run)
    before = {row["epoch"]: row["at"] for row in await services.gateway.read(EPOCHS_OF_RUN, run=run.uid)}
    done = await _finished(services, run)
    assert (done.state, done.attempt) == ("SUCCEEDED", 2), done.error_message
    assert worker.is_running()
    await _check(services, run, resumed_from=saved, before=before)
