"""Each simulated domain through the whole path: generated, learnt, scored beside its own physics, within its laws.

The figures here are of a few small sequences and mean nothing; the larger version (`-m slow`) trains a network on each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graph.queries import evaluation, prediction, timeline, training
from graph.queries.timeline import SequenceRow
from nvp.atlas.series import Series
from nvp.dynamics.domain import domain
from nvp.dynamics.simulators import SIMULATORS
from resolvers.services.context import Services
from resolvers.services.loading import load
from resolvers.services.submission import (
    EvaluationRequest,
    GenerationRequest,
    PredictionRequest,
    TrainingRequest,
    submit_evaluation,
    submit_generation,
    submit_prediction,
    submit_training,
)
from tests.resolvers.working import worked

pytestmark = pytest.mark.db

# of the data; the model's own is of one float32 step
RESIDUAL = 1e-5
# domains through whose edges or source energy comes and goes, those with open edges first
OPEN = sorted(
    (name for name in SIMULATORS if not domain(name).closed),
    key=lambda name: "open" not in (domain(name).boundary_x, domain(name).boundary_y),
)


async def generated(services: Services, name: str, *, sequences: int = 3, **settings: Any) -> list[SequenceRow]:
    """Sequences of a domain, in the graph."""
    await worked(
        services,
        await submit_generation(services, GenerationRequest(domain=name, sequences=sequences, settings=settings)),
    )
    rows = await timeline.sequences_of_domain(services.gateway, name)
    assert len(rows) == sequences
    return rows


async def trained(services: Services, name: str, **how: Any) -> str:
    """Uid of the best checkpoint of a training on the domain."""
    run = await worked(services, await submit_training(services, TrainingRequest(domain=name, **how)))
    model = await training.model_of_run(services.gateway, run.uid)
    assert model is not None
    assert model.best_checkpoint is not None
    return model.best_checkpoint


async def scored(services: Services, checkpoint: str) -> dict[str, Any]:
    """Scores on the sequences that were held out."""
    run = await worked(services, await submit_evaluation(services, EvaluationRequest(checkpoints=(checkpoint,))))
    (row,) = await evaluation.evaluations_of_run(services.gateway, run.uid)
    return row.scores


async def predicted(services: Services, checkpoint: str, row: SequenceRow, *, at: int, steps: int) -> Any:
    (frame,) = await timeline.frames(services.gateway, row.uid, at, at)
    request = PredictionRequest(checkpoints=(checkpoint,), starts=(frame.uid,), steps=steps)
    run = await worked(services, await submit_prediction(services, request))
    (uid,) = await prediction.predictions_of_run(services.gateway, run.uid)
    return await prediction.prediction(services.gateway, uid)


async def check_data(services: Services, row: SequenceRow) -> Series:
    """The totals that the graph carries obey the first law with what the simulator recorded."""
    series = await load(services, row.uid, row.first, row.last)
    frames = await timeline.frames(services.gateway, row.uid, row.first, row.last)
    totals = np.array([frame.total_energy for frame in frames])
    assert series.energy.min() >= 0
    assert series.source_total is not None
    assert series.outflow_total is not None
    np.testing.assert_allclose(totals, series.energy.sum(axis=(1, 2, 3), dtype=np.float64), rtol=1e-9)
    came = series.source_total[1:].astype(np.float64) - series.outflow_total[1:].astype(np.float64)
    assert (np.abs(np.diff(totals) - came) < RESIDUAL * totals[:-1]).all()
    links = await services.gateway.read(
        "MATCH (:Sequence {uid: $uid})-[:HAS_SNAPSHOT]->(e)-[n:NEXT]->() RETURN n.delta_energy AS gained "
        "ORDER BY e.t_index LIMIT 1000",
        uid=row.uid,
    )
    np.testing.assert_allclose([link["gained"] for link in links], np.diff(totals), atol=1e-9 * totals.max())
    if domain(row.domain).closed:
        assert not came.any()
    return series


def check_scores(scores: dict[str, Any]) -> None:
    """The yardsticks are what they are called, and the comparison with physics is not void."""
    baselines = scores["baselines"]
    assert baselines["persistence"]["pooled"] == 0
    assert baselines["persistence"]["mean"] == 0
    for name in ("upwind", "frozen"):
        assert baselines["known_physics"][name]["pooled"] >= 0, name
        assert baselines["known_physics"][name]["n"] == scores["fidelity"]["n"]
    assert scores["conservation"]["data_residual"] < RESIDUAL
    assert np.isfinite(scores["fidelity"]["pooled"])


@pytest.mark.parametrize("name", sorted(SIMULATORS))
async def test_a_domain_is_generated_learnt_and_scored(name: str, services: Services) -> None:
    rows = await generated(services, name, scale=32, steps=12, warm_up=20)
    for row in rows:
        await check_data(services, row)
    checkpoint = await trained(services, name, model="ridge")
    check_scores(await scored(services, checkpoint))
    made = await predicted(services, checkpoint, rows[0], at=8, steps=2)
    assert [state.truth is not None for state in made.states] == [True, True]
    assert all(np.isfinite(list(state.scores.values())).all() for state in made.states)
    if name == OPEN[0]:
        await check_network(services, rows[0])


async def check_network(services: Services, row: SequenceRow) -> None:
    """A network that has seen little keeps the laws all the same, where energy enters, leaves and is cooled away."""
    checkpoint = await trained(services, row.domain, model="tiny", epochs=1)
    scores = await scored(services, checkpoint)
    assert scores["conservation"]["residual"] < RESIDUAL
    assert scores["negative"]["share"] == 0
    made = await predicted(services, checkpoint, row, at=5, steps=6)
    assert all(services.store.read_array(state.uri).min() >= 0 for state in made.states)
    assert all(state.total_energy > 0 for state in made.states)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", sorted(SIMULATORS))
async def test_a_network_beats_the_extrapolation_of_every_domain(name: str, services: Services) -> None:
    rows = await generated(services, name, sequences=8, scale=64, steps=30)
    for row in rows:
        await check_data(services, row)
    scores = await scored(services, await trained(services, name, model="tiny", seconds=120.0))
    check_scores(scores)
    assert scores["conservation"]["residual"] < RESIDUAL
    assert scores["negative"]["share"] == 0
    rivals = scores["baselines"]
    assert scores["fidelity"]["pooled"] > max(0.0, rivals["linear_extrapolation"]["pooled"])
