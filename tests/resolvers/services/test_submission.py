"""A request becomes a run only where the graph can serve it; the same request again is the same run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graph.errors import GraphError, NotFound
from graph.queries import runs, splits, timeline
from nvp.errors import FieldError
from resolvers.services.context import Services
from resolvers.services.ingest import ingest_series
from resolvers.services.submission import (
    EvaluationRequest,
    GenerationRequest,
    PredictionRequest,
    TrainingRequest,
    submit_evaluation,
    submit_generation,
    submit_prediction,
    submit_training,
    t_index,
)
from tests.graph.queries import builders
from tests.resolvers.carried import carried, ingest_carried

pytestmark = pytest.mark.db

RIDGE = TrainingRequest(domain="fluid_dynamics", model="ridge")


async def test_a_training_gets_a_split_by_sequence(services: Services) -> None:
    uids = await ingest_carried(services, sequences=4)
    run = await submit_training(services, RIDGE)
    assert (run.state, run.kind, run.capability, run.attempt) == ("QUEUED", "training", "batch", 1)
    split = await splits.split(services.gateway, run.config["split"])
    assert split.kind == "sequence"
    assert {part.sequence for part in split.parts} == set(uids)
    assert all(split.of(role) for role in ("train", "val", "test"))
    used = await services.gateway.read(
        "MATCH (:Run {uid: $uid})-[use:USED]->(n) RETURN use.role AS role, count(*) AS n LIMIT 9", uid=run.uid
    )
    assert {row["role"]: row["n"] for row in used} == {"split": 1, "sequence": 4}


async def test_one_series_is_split_by_blocks_with_a_gap(services: Services) -> None:
    (uid,) = await ingest_carried(services, frames=100)
    run = await submit_training(services, replace(RIDGE, domain=None, sequences=(uid,), gap=3))
    split = await splits.split(services.gateway, run.config["split"])
    assert [(part.role, part.first, part.last) for part in sorted(split.parts, key=lambda part: part.first)] == [
        ("train", 0, 56),
        ("val", 60, 74),
        ("test", 80, 99),
    ]


async def test_the_same_request_is_the_same_run(services: Services) -> None:
    await ingest_carried(services, sequences=3)
    first = await submit_training(services, RIDGE)
    assert (await submit_training(services, RIDGE)).uid == first.uid
    assert (await submit_training(services, replace(RIDGE, seed=1))).uid != first.uid
    assert (await submit_training(services, replace(RIDGE, force=True))).uid != first.uid


async def test_fresh_evidence_of_an_experiment_is_not_learnt_from_unasked(services: Services) -> None:
    before = set(await ingest_carried(services, sequences=3))
    first = await submit_training(services, RIDGE)
    (fresh,) = set(await ingest_carried(services, sequences=4)) - before
    experiment = await builders.submit(services.gateway, kind="ace", capability="orchestration")
    made = await builders.submit(services.gateway, kind="generation", parent=experiment.uid)
    await services.gateway.write(
        "MATCH (s:Sequence {uid: $fresh}) MATCH (r:Run {uid: $made}) MERGE (s)-[:WAS_GENERATED_BY]->(r)",
        fresh=fresh,
        made=made.uid,
    )
    assert (await submit_training(services, RIDGE)).uid == first.uid
    named = await submit_training(services, replace(RIDGE, domain=None, sequences=(*sorted(before), fresh)))
    assert named.uid != first.uid


async def test_a_sequence_that_has_grown_makes_another_run(services: Services) -> None:
    (uid,) = await ingest_carried(services, frames=40)
    request = TrainingRequest(sequences=(uid,), model="ridge", split="block")
    first = await submit_training(services, request)
    longer = carried(frames=60).part(40, 60)
    await ingest_series(
        services,
        longer,
        source="carried-16-0",
        recipe={"side": 16, "frames": 40, "seed": 0},
        generator="carried",
        label="Simulated",
    )
    assert (await submit_training(services, request)).uid != first.uid


async def test_a_failed_run_may_be_asked_for_again(services: Services) -> None:
    await ingest_carried(services, sequences=3)
    first = await submit_training(services, RIDGE)
    await runs.request_cancel(services.gateway, first.uid)
    assert (await submit_training(services, RIDGE)).uid != first.uid


async def test_generation_is_checked(services: Services) -> None:
    request = GenerationRequest(domain="fluid_dynamics", sequences=2, settings={"scale": 32})
    first = await submit_generation(services, request)
    assert first.config == {
        "domain": "fluid_dynamics",
        "kind": "pde",
        "preset": None,
        "sequences": 2,
        "settings": {"scale": 32},
    }
    assert (await submit_generation(services, request)).uid == first.uid
    assert (await submit_generation(services, replace(request, kind="perturbation"))).uid != first.uid
    for wrong, says in (
        ({"domain": "alchemy"}, "domain"),
        ({"kind": "dream"}, "kind"),
        ({"preset": "seeds"}, "preset"),
    ):
        with pytest.raises(FieldError, match=says):
            await submit_generation(services, replace(request, **wrong))


@pytest.mark.parametrize(
    ("domain", "changed", "says"),
    [
        ("fluid_dynamics", {"scale": 7}, "multiple of 8"),
        ("fluid_dynamics", {"scale": 1_000_000}, "up to 1024"),  # the batch worker would be gone for good
        ("fluid_dynamics", {"sclae": 64}, "sclae"),
        ("fluid_dynamics", [1], "settings by name"),
        ("surface_temperature", {}, "with a simulator"),
    ],
)
async def test_bad_generations_queue_nothing(services: Services, domain: str, changed, says: str) -> None:
    with pytest.raises((GraphError, FieldError), match=says):
        await submit_generation(services, GenerationRequest(domain=domain, settings=changed))
    assert await runs.list_runs(services.gateway) == []


@pytest.mark.parametrize(
    ("request_", "error", "says"),
    [
        (TrainingRequest(domain="fluid_dynamics", model="huge"), GraphError, "ridge, tiny, small, base"),
        (TrainingRequest(domain="fluid_dynamics", epochs=0), GraphError, "epochs"),
        (TrainingRequest(domain="fluid_dynamics", history=0), GraphError, "history"),
        (TrainingRequest(domain="fluid_dynamics", history=5), GraphError, "history within 1 … 4"),
        (TrainingRequest(domain="fluid_dynamics", seconds=-5.0), GraphError, "seconds"),
        (TrainingRequest(), GraphError, "neither"),
        (TrainingRequest(domain="fluid_dynamics"), GraphError, "ingest"),
        (TrainingRequest(sequences=("nowhere",)), NotFound, "nowhere"),
    ],
)
async def test_bad_trainings_queue_nothing(
    services: Services, request_: TrainingRequest, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await submit_training(services, request_)
    assert await runs.list_runs(services.gateway) == []


async def test_a_series_too_short_to_divide(services: Services) -> None:
    (uid,) = await ingest_carried(services, frames=6)
    with pytest.raises(FieldError, match="gap"):
        await submit_training(services, TrainingRequest(sequences=(uid,), gap=4))


async def test_sequences_of_different_grids_are_not_mixed(services: Services) -> None:
    await ingest_carried(services)
    await ingest_carried(services, side=24)
    with pytest.raises(GraphError, match="24×24"):
        await submit_training(services, RIDGE)


async def test_sequences_of_another_domain_than_named_are_refused(services: Services) -> None:
    uids = await ingest_carried(services)
    with pytest.raises(GraphError, match="expected domain surface_temperature, got fluid_dynamics"):
        await submit_training(services, TrainingRequest(domain="surface_temperature", sequences=tuple(uids)))


@pytest.mark.parametrize("text", ["9" * 5000, "1; DROP", "NaT", "3000-01-01", "today", ""])
async def test_a_begin_that_is_no_time_is_refused(services: Services, text: str) -> None:
    (uid,) = await ingest_carried(services)
    row = await timeline.sequence(services.gateway, uid)
    with pytest.raises(GraphError, match="expected a t_index or an ISO time") as caught:
        t_index(row, text)
    assert len(str(caught.value)) < 200


async def test_bad_predictions_and_evaluations(services: Services) -> None:
    with pytest.raises(GraphError, match="steps within 1 … 1000"):
        await submit_prediction(services, PredictionRequest(checkpoints=("c",), starts=("s",), steps=0))
    with pytest.raises(NotFound, match="Checkpoint"):
        await submit_prediction(services, PredictionRequest(checkpoints=("c",), starts=("s",)))
    with pytest.raises(GraphError, match="at least one checkpoint"):
        await submit_evaluation(services, EvaluationRequest(checkpoints=()))
    with pytest.raises(NotFound, match="Checkpoint"):
        await submit_evaluation(services, EvaluationRequest(checkpoints=("c",)))
