"""What becomes of predictions is in the graph and in the log: at once, or when the truth comes; never twice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from graph.queries import prediction, timeline, training, vector_logs, violations
from nvp.atlas.series import Series
from nvp.dynamics.domain import domain
from nvp.model.ridge import Ridge
from nvp.prediction.forecaster import Forcing, Forecast, Window
from nvp.thermo.vector_log import PLACE, Entry, VectorLog
from resolvers.services import outcomes
from resolvers.services.context import Services
from resolvers.services.ingest import ingest_series
from resolvers.services.outcomes import violations_of
from resolvers.services.submission import PredictionRequest, TrainingRequest, submit_prediction, submit_training
from tests.resolvers.carried import carried, ingest_carried
from tests.resolvers.working import worked


@pytest.fixture
def at_home(services: Services, tmp_path: Path) -> Services:
    """The same services with a log of their own."""
    return replace(services, settings=services.settings.model_copy(update={"home": tmp_path / "home"}))


def lines(services: Services) -> list[Entry]:
    return list(VectorLog(path=services.settings.home / PLACE).read())


async def checkpoint_of_ridge(services: Services) -> str:
    known = await ingest_carried(services, sequences=3)
    request = TrainingRequest(sequences=tuple(known), model="ridge")
    run = await worked(services, await submit_training(services, request))
    model = await training.model_of_run(services.gateway, run.uid)
    assert model is not None
    return str(model.best_checkpoint)


async def ingest(services: Services, start: int, stop: int) -> str:
    field = carried(seed=7).part(start, stop)
    report = await ingest_series(services, field, source="growing", recipe={}, generator="carried", label="Simulated")
    return report.sequence


@pytest.mark.db
async def test_a_prediction_is_checked_and_logged(at_home: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = await checkpoint_of_ridge(at_home)
    honest = Ridge.forecast

    def leaky(self: Ridge, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        """Gains a tenth of a percent in the second step."""
        made = honest(self, window, steps, forcing)
        made.mean[:, 1:] *= np.float32(1.001)
        return made

    monkeypatch.setattr(Ridge, "forecast", leaky)
    growing = await ingest(at_home, 0, 20)
    (start,) = await timeline.frames(at_home.gateway, growing, 17, 17)
    request = PredictionRequest(checkpoints=(checkpoint,), starts=(start.uid,), steps=4)
    run = await worked(at_home, await submit_prediction(at_home, request))
    (uid,) = await prediction.predictions_of_run(at_home.gateway, run.uid)

    # the graph says at which lead it left its account, and by how much
    found = await violations.violations(at_home.gateway, uid)
    made = await prediction.prediction(at_home.gateway, uid)
    assert made.violation_count == len(found)
    assert [(row.law, row.lead) for row in found] == [
        ("energy", 2),
        ("energy drift", 2),
        ("energy drift", 3),
        ("energy drift", 4),
    ]
    truth = float((await timeline.frames(at_home.gateway, growing, 17, 17))[0].total_energy)
    totals = [truth] + [state.total_energy for state in made.states]
    for row in (row for row in found if row.law == "energy"):
        drift = abs(totals[row.lead] - totals[row.lead - 1]) / totals[row.lead - 1]
        assert row.value == pytest.approx(drift, rel=1e-3)
        assert drift > row.limit == 1e-5
        assert row.snapshot == made.states[row.lead - 1].uid

    # two of its four steps have come true by now
    logged = lines(at_home)
    assert [(entry.lead, entry.step, entry.prediction) for entry in logged] == [(1, 18, uid), (2, 19, uid)]
    assert {(entry.model, entry.domain) for entry in logged} == {("ridge on fluid_dynamics", "fluid_dynamics")}
    for entry, state in zip(logged, made.states, strict=False):
        assert entry.fidelity == pytest.approx(state.scores["fidelity"])
        assert entry.rmse == pytest.approx(state.scores["rmse"])
        assert entry.snapshot == state.truth
        assert entry.checkpoint is not None
        assert len(entry.checkpoint) == 64
        assert entry.agent == run.uid

    # the rest when it comes, once, whoever looks again; of the experiment that wanted it, where there is one
    await ingest(at_home, 20, 21)
    assert [entry.lead for entry in lines(at_home)] == [1, 2, 3]
    await at_home.gateway.write(
        "MATCH (r:Run {uid: $uid}) CREATE (r)-[:WAS_INFORMED_BY]->(:Run {uid: 'experiment'})", uid=run.uid
    )
    await ingest(at_home, 20, 22)
    await outcomes.log_outcomes(at_home, await vector_logs.unlogged_of_sequence(at_home.gateway, growing))
    assert [entry.lead for entry in lines(at_home)] == [1, 2, 3, 4]
    assert [entry.agent for entry in lines(at_home)] == [run.uid, run.uid, run.uid, "experiment"]
    (row,) = await vector_logs.summary(at_home.gateway, ["domain"])
    (group,) = VectorLog(path=at_home.settings.home / PLACE).summary(["domain"])
    assert (row.domain, row.n, row.pooled) == ("fluid_dynamics", 4, pytest.approx(group["fidelity"]["pooled"]))
    (flat,) = await at_home.gateway.read(
        "MATCH (p:Prediction)<-[:LOGS]-(l:PredictionLog {lead: 4})-[:AGAINST]->(e:Simulated) "
        "WHERE l.timestamp = p.created_at RETURN p.uid AS uid, l.regime AS regime, e.regime AS own, "
        "l.observed_mean AS mean, e.mean AS same"
    )
    assert flat["uid"] == uid
    assert flat["regime"] == flat["own"]
    assert flat["mean"] == pytest.approx(flat["same"])


@pytest.mark.db
async def test_a_log_that_cannot_be_written_spoils_no_prediction(
    at_home: Services, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = await checkpoint_of_ridge(at_home)
    growing = await ingest(at_home, 0, 20)
    at_home.settings.home.write_text("no folder")
    (start,) = await timeline.frames(at_home.gateway, growing, 17, 17)
    request = PredictionRequest(checkpoints=(checkpoint,), starts=(start.uid,), steps=1)
    run = await worked(at_home, await submit_prediction(at_home, request))
    assert "1 energy vectors are in the graph, but not in the log" in caplog.text
    assert run.state == "SUCCEEDED"
    assert (await vector_logs.summary(at_home.gateway, []))[0].n == 1


@dataclass(frozen=True)
class Config:
    context: tuple[tuple[str, int], ...]


class Told:
    """A forecaster that says of itself what it is given."""

    history = 1

    def __init__(self, *names: str) -> None:
        self.config = Config(tuple((name, 1) for name in names))

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        raise AssertionError("nobody asks it for more than what it is told")


def heated(frames: int = 4) -> Series:
    """One unit of heat more in each step than in the one before."""
    source = np.stack([np.full((8, 8, 1), k / 64, np.float32) for k in range(frames)])
    return Series(
        energy=np.ones((frames, 8, 8, 1), np.float32), context={"source": source}, dt=1.0, domain="active_matter"
    )


def forecast(*totals: float, members: np.ndarray | None = None) -> Forecast:
    mean = np.stack([np.full((8, 8, 1), total / 64, np.float32) for total in totals])[None]
    zero = np.zeros((1, len(totals)), np.float32)
    return Forecast(mean=mean, log_var=np.zeros_like(mean), outflow=zero, members=members)


def found(
    made: Forecast, *, told: Told, forcing: Forcing = "frozen", series: Series | None = None
) -> list[tuple[str, int]]:
    series = series or heated()
    past, later = series.part(0, 2), series.part(2, 4)
    recorded = later if forcing == "recorded" else None
    return [(one.law, one.lead) for one in violations_of(told, made, 0, past=past, later=recorded, forcing=forcing)]


def test_the_account_is_of_what_the_forecaster_was_told() -> None:
    frozen, recorded, none = forecast(65, 66), forecast(65, 67), forecast(64, 64)
    told, untold = Told("source"), Told()
    assert found(frozen, told=told) == []
    assert found(recorded, told=told) == [("energy", 2), ("energy drift", 2)]
    assert found(recorded, told=told, forcing="recorded") == []
    assert found(frozen, told=told, forcing="recorded") == [("energy", 2), ("energy drift", 2)]
    assert found(none, told=untold) == []
    assert found(frozen, told=untold) != []
    # where nobody knows the source there is no account
    assert found(forecast(99, 0), told=told, series=replace(heated(), context={})) == []


def test_members_are_held_to_the_laws_too() -> None:
    paths = np.ones((1, 3, 2, 8, 8, 1), np.float32) * np.array([65, 66], np.float32)[:, None, None, None] / 64
    paths[0, 1, 1, 2, 3] = -0.5
    said = violations_of(
        Told("source"), forecast(65, 66, members=paths), 0, past=heated().part(0, 2), later=None, forcing="frozen"
    )
    assert {(one.law, one.lead, one.member) for one in said} == {
        ("negative", 2, 1),
        ("energy", 2, 1),
        ("energy drift", 2, 1),
    }
    # at an open edge the outflow of a member is not known, its sign is
    assert "open" in (domain("turbulent_radiative_layer").boundary_y, "")
    edge = replace(heated(), domain="turbulent_radiative_layer")
    said = violations_of(
        Told("source"), forecast(65, 66, members=paths), 0, past=edge.part(0, 2), later=None, forcing="frozen"
    )
    assert {(one.law, one.lead, one.member) for one in said} == {("negative", 2, 1)}
