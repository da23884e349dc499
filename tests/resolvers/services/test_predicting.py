"""One run may want a batch of states and an ensemble of checkpoints; what is wrong with one never harms another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, LiteralString

import numpy as np
import pytest
from jaxtyping import Float

from graph.errors import GraphError, NotFound
from graph.gateway import Gateway
from graph.queries import prediction, runs, timeline, training
from graph.queries.runs import RunRow
from nvp.errors import FieldError
from nvp.prediction.forecaster import Forcing, Forecast, Window
from resolvers.services import forecasters
from resolvers.services import prediction as predicting
from resolvers.services.context import Services
from resolvers.services.submission import PredictionRequest, TrainingRequest, submit_prediction, submit_training
from resolvers.task import Cancelled, Task
from tests.resolvers.carried import ingest_carried
from tests.resolvers.working import leased, worked

pytestmark = pytest.mark.db

SIDE = 8


class Shift:
    """A member that carries the field by a number of cells in each step; it refuses fields above a limit."""

    history = 1

    def __init__(self, cells: int, limit: float = np.inf) -> None:
        self.cells, self.limit = cells, limit

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        now = window.history[:, -1]
        if now.max() > self.limit:
            raise FieldError("TOO_HIGH", f"expected fields up to {self.limit}, got {now.max()}.")
        mean = np.stack([np.roll(now, self.cells * lead, axis=2) for lead in range(1, steps + 1)], axis=1)
        return Forecast(mean=mean, log_var=np.full_like(mean, -4.0), outflow=np.zeros(mean.shape[:2], np.float32))


class Pair:
    """Two members as one forecaster, as an ensemble says them."""

    history = 1

    def __init__(self, members: Sequence[Shift]) -> None:
        self.members = members

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        said = [member.forecast(window, steps) for member in self.members]
        members = np.stack([one.mean for one in said], axis=1)
        mean, variance = members.mean(axis=1), members.var(axis=1) + np.exp(-4.0)
        return Forecast(
            mean=mean, log_var=np.log(variance).astype(np.float32), outflow=said[0].outflow, members=members
        )


class World:
    """Sequences, two models' checkpoints and the frames to start from."""

    def __init__(self, services: Services, checkpoints: list[str], frames: list[str], sequence: str) -> None:
        self.services, self.checkpoints, self.frames, self.sequence = services, checkpoints, frames, sequence

    async def predict(self, request: PredictionRequest) -> tuple[RunRow, list[prediction.PredictionRow]]:
        run = await worked(self.services, await submit_prediction(self.services, request))
        uids = await prediction.predictions_of_run(self.services.gateway, run.uid)
        return run, [await prediction.prediction(self.services.gateway, uid) for uid in uids]

    def field(self, uri: str) -> Float[np.ndarray, "h w c"]:
        return self.services.store.read_array(uri)


@pytest.fixture
async def world(services: Services) -> World:
    (sequence, *_) = await ingest_carried(services, sequences=3, side=SIDE, frames=12)
    checkpoints = []
    for seed in (0, 1):
        request = TrainingRequest(domain="fluid_dynamics", model="ridge", history=1, seed=seed)
        run = await worked(services, await submit_training(services, request))
        model = await training.model_of_run(services.gateway, run.uid)
        assert model is not None
        checkpoints.append(str(model.best_checkpoint))
    frames = await timeline.frames(services.gateway, sequence, 0, 11)
    return World(services, checkpoints, [frame.uid for frame in frames], sequence)


def forecaster(monkeypatch: pytest.MonkeyPatch, made: object) -> list[int]:
    """Predict with this from here on; how many starts each call had."""
    calls: list[int] = []

    class Counted:
        history = 1

        def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
            calls.append(len(window))
            found: Forecast = made.forecast(window, steps, forcing)  # type: ignore[attr-defined]
            return found

    monkeypatch.setattr(predicting, "forecaster_of_all", lambda *_: Counted())
    return calls


async def test_a_batch_of_states_is_a_prediction_each(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = forecaster(monkeypatch, Shift(1))
    request = PredictionRequest(
        checkpoints=(world.checkpoints[0],), starts=(*world.frames[2:6], world.frames[2]), steps=2
    )
    run, rows = await world.predict(request)
    assert calls == [4]  # asked for twice, predicted once
    assert {row.start for row in rows} == set(world.frames[2:6])
    assert all(row.checkpoints == (world.checkpoints[0],) and row.members == 1 for row in rows)
    for row in rows:
        assert row.states[0].scores["fidelity"] == pytest.approx(1.0)
    used = await world.services.gateway.read(
        "MATCH (:Run {uid: $uid})-[u:USED]->() RETURN u.role AS role, count(*) AS n ORDER BY role", uid=run.uid
    )
    assert used == [{"role": "checkpoint", "n": 1}, {"role": "start", "n": 4}]


async def test_more_starts_than_fit_into_one_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = forecaster(monkeypatch, Shift(1))
    monkeypatch.setattr(predicting, "TOGETHER", 3)
    _, rows = await world.predict(
        PredictionRequest(checkpoints=(world.checkpoints[0],), starts=tuple(world.frames[:8]))
    )
    assert (calls, len(rows)) == ([3, 3, 2], 8)


async def test_an_ensemble_knows_its_checkpoints_and_keeps_members_on_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecaster(monkeypatch, Pair([Shift(0), Shift(2)]))
    await world.services.gateway.write("MATCH (m:Model) SET m.architecture = 'tiny'")
    both = tuple(world.checkpoints)
    _, (row,) = await world.predict(PredictionRequest(checkpoints=both, starts=(world.frames[3],), steps=2))
    assert (row.checkpoints, row.members) == (tuple(sorted(both)), 2)
    assert [state.member for state in row.states] == [None, None]
    now = world.field((await timeline.frames(world.services.gateway, world.sequence, 3, 3))[0].uri)
    np.testing.assert_allclose(world.field(row.states[0].uri), (now + np.roll(now, 2, axis=1)) / 2, rtol=1e-6)
    # the spread has the members' own
    half = np.abs(now - np.roll(now, 2, axis=1)) / 2
    np.testing.assert_allclose(world.field(str(row.states[0].spread_uri)), np.sqrt(half**2 + np.exp(-4.0)), rtol=1e-4)

    request = PredictionRequest(checkpoints=both, starts=(world.frames[3],), steps=2, members=True)
    _, (kept,) = await world.predict(request)
    assert [(state.lead, state.member) for state in kept.states] == [
        (1, 0),
        (1, 1),
        (1, None),
        (2, 0),
        (2, 1),
        (2, None),
    ]
    np.testing.assert_array_equal(world.field(kept.states[0].uri), now)
    chain = await world.services.gateway.read(
        "MATCH p = (:EnergySnapshot {uid: $uid})-[:EVOLVES_TO*2 {prediction: $p}]->(e) RETURN e.member AS member",
        uid=world.frames[3],
        p=kept.uid,
    )
    assert sorted(str(link["member"]) for link in chain) == ["0", "1", "None"]


async def test_an_input_that_spoils_the_batch_fails_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    low, *_, high = await _by_peak(world)
    calls = forecaster(monkeypatch, Shift(1, limit=low[0]))  # a sequence only moves: its peak stays
    together = []
    for uid in (low[1][1], high[1][0], low[1][2], low[1][4]):
        request = PredictionRequest(checkpoints=(world.checkpoints[0],), starts=(uid,), force=True)
        run = await leased(world.services, await submit_prediction(world.services, request))
        together.append((run, Task(world.services.gateway, run)))
    # stopped before its turn, and first in its group
    together[0][1].cancel()
    errors = await predicting.execute_batch(world.services, together)
    assert [type(errors[run.uid]) for run, _ in together] == [Cancelled, FieldError, type(None), type(None)]
    assert calls == [3, 1, 1, 1]
    made = [len(await prediction.predictions_of_run(world.services.gateway, run.uid)) for run, _ in together]
    assert made == [0, 0, 1, 1]


async def _by_peak(world: World) -> list[tuple[float, list[str]]]:
    """The sequences' peaks with their frames, lowest first."""
    found = []
    for row in await timeline.sequences_of_domain(world.services.gateway, "fluid_dynamics"):
        frames = await timeline.frames(world.services.gateway, row.uid, row.first, row.last)
        found.append((float(world.field(frames[0].uri).max()), [frame.uid for frame in frames]))
    return sorted(found)


async def test_what_cannot_be_an_ensemble_or_a_batch(world: World) -> None:
    first, second = world.checkpoints
    start = (world.frames[0],)
    for request, expected in (
        (PredictionRequest(checkpoints=(first, second), starts=start), "networks in an ensemble, got ridge"),
        (PredictionRequest(checkpoints=(), starts=start), "number of checkpoints within 1"),
        (PredictionRequest(checkpoints=(first,), starts=()), "number of starts within 1"),
        (PredictionRequest(checkpoints=(first,), starts=tuple(world.frames), steps=1000), "at most 10000 states"),
    ):
        with pytest.raises(GraphError, match=expected):
            await submit_prediction(world.services, request)
    assert await runs.list_runs(world.services.gateway, kind="prediction") == []


async def test_many_starts_are_one_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    read = Gateway.read

    async def counted(self: Gateway, query: LiteralString, /, **parameters: Any) -> list[dict[str, Any]]:
        seen.append(query)
        return await read(self, query, **parameters)

    monkeypatch.setattr(Gateway, "read", counted)
    counts = []
    for starts in (world.frames[4:5], world.frames[9:1:-1]):
        seen.clear()
        asked = PredictionRequest(checkpoints=(world.checkpoints[0],), starts=tuple(starts))
        run = await submit_prediction(world.services, asked)
        counts.append(len(seen))
        assert run.config["starts"] == starts  # in their order
    assert counts[0] == counts[1]
    missing = PredictionRequest(checkpoints=(world.checkpoints[0],), starts=(world.frames[0], "nowhere"))
    with pytest.raises(NotFound, match="nowhere"):
        await submit_prediction(world.services, missing)


def test_one_checkpoint_is_itself_and_ridge_joins_no_ensemble(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(forecasters, "forecaster_of", lambda *_: Shift(1))
    assert isinstance(forecasters.forecaster_of_all(None, [None]), Shift)  # type: ignore[arg-type, list-item]
    with pytest.raises(FieldError, match="got ridge"):
        forecasters.forecaster_of_all(None, [None, None])  # type: ignore[arg-type, list-item]
