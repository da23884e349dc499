"""Evaluations as runs: what was asked for is what is in the graph, and a domain can be left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from graph.errors import GraphError
from graph.queries import evaluation, splits, training
from graph.queries.evaluation import EvaluationRow
from nvp.errors import FieldError
from nvp.training.data import TrainingData
from resolvers.services.context import Services
from resolvers.services.ingest import ingest_series
from resolvers.services.leave_out import common_ground, submit_leave_out
from resolvers.services.loading import load_stretches
from resolvers.services.submission import EvaluationRequest, TrainingRequest, submit_evaluation, submit_training
from tests.resolvers.carried import carried, ingest_carried
from tests.resolvers.working import worked

pytestmark = pytest.mark.db


async def _checkpoint(services: Services) -> str:
    await ingest_carried(services, sequences=3, frames=20)
    request = TrainingRequest(domain="fluid_dynamics", model="ridge", history=2)
    trained = await worked(services, await submit_training(services, request))
    model = await training.model_of_run(services.gateway, trained.uid)
    assert model is not None
    assert model.best_checkpoint is not None
    return model.best_checkpoint


async def _evaluated(services: Services, **asked: Any) -> EvaluationRow:
    run = await worked(services, await submit_evaluation(services, EvaluationRequest(**asked)))
    (row,) = await evaluation.evaluations_of_run(services.gateway, run.uid)
    return row


async def test_leads_windows_and_drift_are_kept(services: Services) -> None:
    checkpoint = await _checkpoint(services)
    row = await _evaluated(services, checkpoints=(checkpoint,), windows=("1:3",), rollouts=5, drift=7)
    leads = row.scores["rollout"]
    assert [(lead["lead"], lead["forcing"]) for lead in leads] == [
        (lead, kind) for kind in ("frozen", "recorded") for lead in (1, 2, 3)
    ], "the horizon reaches the end of the window"
    assert {lead["fidelity"]["n"] for lead in leads} == {5}
    assert row.n is not None
    assert row.n > 5, "the headline is of all pairs"
    window = row.scores["windows"][0]
    assert window["vrmse"] == pytest.approx((leads[1]["vrmse"] + leads[2]["vrmse"]) / 2)
    assert row.scores["drift"]["steps"] == 7
    assert row.scores["baselines"]["ridge"]["pooled"] == pytest.approx(row.fidelity)
    one = await _evaluated(services, checkpoints=(checkpoint,), forcing="recorded", horizon=2, drift=0)
    assert [lead["forcing"] for lead in one.scores["rollout"]] == ["recorded"] * 2
    assert one.fidelity == row.fidelity, "a longer horizon leaves the headline as it is"
    assert one.scores["drift"] is None


async def test_what_cannot_be_evaluated_is_refused(services: Services) -> None:
    checkpoint = await _checkpoint(services)
    for asked in ({"horizon": 0}, {"drift": -1}, {"rollouts": 0}, {"forcing": "guessed"}):
        with pytest.raises(GraphError, match=next(iter(asked))):
            await submit_evaluation(services, EvaluationRequest(checkpoints=(checkpoint,), **asked))  # type: ignore[arg-type]
    with pytest.raises(FieldError, match="window of steps"):
        await submit_evaluation(services, EvaluationRequest(checkpoints=(checkpoint,), windows=("6",)))


async def test_a_domain_is_left_out(services: Services) -> None:
    for name in ("astrophysics", "plasma_physics", "turbulent_radiative_layer"):
        for seed in range(3):
            series = carried(frames=8, seed=seed)
            series = replace(series, domain=name, context={**series.context, "source": 0 * series.energy})
            await ingest_series(
                services, series, source=f"{name}-{seed}", recipe={}, generator="carried", label="Simulated"
            )
    await ingest_carried(services, sequences=3, frames=8)
    request = TrainingRequest(domain="fluid_dynamics", model="tiny", epochs=1)
    run = await submit_leave_out(services, request)
    assert (run.config["left_out"], run.config["domain"]) == ("fluid_dynamics", "fluid_dynamics")
    split = await splits.split(services.gateway, run.config["split"])
    assert split.name == "all but fluid_dynamics: plasma_physics, astrophysics"  # the other one has other edges

    async def of(role: str) -> list[Any]:
        parts = split.of(role)  # type: ignore[arg-type]
        return [one for part in parts for one in await load_stretches(services, part.sequence, part.first, part.last)]

    train, val, test = [await of(role) for role in ("train", "val", "test")]
    assert {one.domain for one in (*train, *val)} == {"plasma_physics", "astrophysics"}
    assert {one.domain for one in test} == {"fluid_dynamics"}
    told = await common_ground(services, split, TrainingData(train=train, validation=val))
    assert {tuple(one.context) for one in (*told.train, *told.validation)} == {("velocity",)}

    with pytest.raises(GraphError, match="tiny, small, base"):
        await submit_leave_out(services, replace(request, model="ridge"))
    with pytest.raises(GraphError, match="sequences of domain 'surface_temperature'"):
        await submit_leave_out(services, replace(request, domain="surface_temperature"))


async def test_no_baseline_learns_where_a_domain_was_left_out(services: Services) -> None:
    row = await _evaluated(services, checkpoints=(await _checkpoint(services),), left_out=True, drift=0)
    assert row.scores["baselines"]["ridge"] is None
    assert row.scores["left_out"] == "fluid_dynamics"
    (found,) = await services.gateway.read("MATCH (v:Evaluation {left_out: 'fluid_dynamics'}) RETURN v.uid AS uid")
    assert found["uid"] == row.uid
