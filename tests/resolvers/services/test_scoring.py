"""A prediction of what nobody has seen yet is scored once it has been seen."""

from __future__ import annotations

import pytest

from graph.queries import prediction, timeline, training
from graph.queries.prediction import PredictedRow
from resolvers.services.context import Services
from resolvers.services.ingest import ingest_series
from resolvers.services.submission import PredictionRequest, TrainingRequest, submit_prediction, submit_training
from tests.resolvers.carried import carried, ingest_carried
from tests.resolvers.working import worked

pytestmark = pytest.mark.db


async def _ingest(services: Services, start: int, stop: int) -> str:
    report = await ingest_series(
        services,
        carried(seed=7).part(start, stop),
        source="growing",
        recipe={},
        generator="carried",
        label="Simulated",
    )
    return report.sequence


async def _states(services: Services, run: str) -> tuple[PredictedRow, ...]:
    (uid,) = await prediction.predictions_of_run(services.gateway, run)
    return (await prediction.prediction(services.gateway, uid)).states


async def test_truth_that_comes_later_is_scored_when_it_comes(services: Services) -> None:
    known = await ingest_carried(services, sequences=3)
    trained = await worked(
        services, await submit_training(services, TrainingRequest(sequences=tuple(known), model="ridge"))
    )
    model = await training.model_of_run(services.gateway, trained.uid)
    assert model is not None
    growing = await _ingest(services, 0, 20)
    (last,) = await timeline.frames(services.gateway, growing, 19, 19)
    request = PredictionRequest(checkpoints=(str(model.best_checkpoint),), starts=(last.uid,), steps=3)
    run = await worked(services, await submit_prediction(services, request))
    assert [state.truth for state in await _states(services, run.uid)] == [None, None, None]

    await _ingest(services, 20, 22)
    first, second, third = await _states(services, run.uid)
    assert first.scores["fidelity"] is not None
    assert first.scores["fidelity"] > 0.9  # the waves go on as they did
    assert second.scores["persistence"] is not None
    assert third.truth is None
    (copy,) = await services.gateway.read("MATCH (p:Prediction) RETURN p.fidelity AS fidelity LIMIT 1")
    assert copy["fidelity"] == first.scores["fidelity"]

    await _ingest(services, 22, 23)
    assert [state.truth is None for state in await _states(services, run.uid)] == [False, False, False]
    (copy,) = await services.gateway.read("MATCH (p:Prediction) RETURN p.fidelity AS fidelity LIMIT 1")
    assert copy["fidelity"] == first.scores["fidelity"], "a later lead leaves the copies of lead 1"
