"""Pictures of what is in the graph: a sequence with its budget, a prediction beside what came true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graph.errors import GraphError, NotFound
from graph.queries import prediction, timeline, training
from graph.queries.newest import newest_sequence
from nvp.errors import FieldError
from resolvers.services import plotting
from resolvers.services.context import Services
from resolvers.services.plotting import Frames
from resolvers.services.submission import PredictionRequest, TrainingRequest, submit_prediction, submit_training
from tests.resolvers.carried import carried, ingest_carried
from tests.resolvers.working import worked

pytestmark = pytest.mark.db

ALL = Frames()


def quiet(done: int, total: int) -> None:
    """No bar."""


async def test_a_sequence_of_the_graph(services: Services, tmp_path: Path) -> None:
    (uid,) = await ingest_carried(services, frames=12)
    shown = await plotting.from_sequence(services, uid, Frames(first=2, last=9), context=["velocity"])
    np.testing.assert_array_equal(shown.films[0].frames, carried().energy[2:10, ..., 0])
    assert [one.label for one in shown.films] == ["E", "|velocity|"]
    assert shown.times.tolist() == [2.0 + k for k in range(8)]
    assert "carried-16-0" in shown.title
    made = plotting.draw(shown, plotting.WHAT, tmp_path / "run.png", fps=8.0, progress=quiet)
    assert [Path(one.path).name for one in made] == [f"run-{what}.png" for what in plotting.WHAT]
    assert [one.frames for one in made][2:] == [8, 8]


async def test_frames_that_are_not_there_are_named(services: Services) -> None:
    (uid,) = await ingest_carried(services, frames=12)
    with pytest.raises(GraphError, match="0 to 11"):
        await plotting.from_sequence(services, uid, Frames(first=12))
    with pytest.raises(NotFound):
        await plotting.from_sequence(services, "none", ALL)


async def test_a_series_too_long_to_read_at_once_is_refused(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    (uid,) = await ingest_carried(services, frames=12)
    monkeypatch.setattr(plotting, "MOST_CELLS", 10 * 256)
    with pytest.raises(FieldError, match="at most 10 frames"):
        await plotting.from_sequence(services, uid, ALL)
    assert len((await plotting.from_sequence(services, uid, Frames(last=9))).times) == 10


async def test_the_newest_sequence(services: Services) -> None:
    uids = await ingest_carried(services, sequences=3, frames=8)
    assert await newest_sequence(services.gateway, "fluid_dynamics") == uids[-1]
    with pytest.raises(NotFound, match="plasma"):
        await newest_sequence(services.gateway, "plasma")


async def test_a_prediction_beside_the_truth(services: Services, tmp_path: Path) -> None:
    (sequence, *_) = await ingest_carried(services, sequences=3)
    run = await worked(
        services, await submit_training(services, TrainingRequest(domain="fluid_dynamics", model="ridge", history=2))
    )
    model = await training.model_of_run(services.gateway, run.uid)
    assert model is not None
    frames = await timeline.frames(services.gateway, sequence, 0, 47)

    async def predicted(start: int) -> str:
        request = PredictionRequest(checkpoints=(str(model.best_checkpoint),), starts=(frames[start].uid,), steps=4)
        done = await worked(services, await submit_prediction(services, request))
        return (await prediction.predictions_of_run(services.gateway, done.uid))[0]

    # two of four leads have come true
    shown = await plotting.from_prediction(services, await predicted(45), ALL)
    truth, said, error = shown.films
    np.testing.assert_array_equal(truth.frames, carried().energy[46:, ..., 0])
    np.testing.assert_array_equal(error.frames, said.frames - truth.frames)
    assert [note.split(" · ")[0] for note in shown.notes] == ["lead 1", "lead 2"]
    assert all("fidelity" in note for note in shown.notes)
    assert shown.said == ("The truth is known of 2 of 4 leads: these are drawn.",)
    assert shown.times.tolist() == [46.0, 47.0]
    (made,) = plotting.draw(shown, ["film"], tmp_path / "rollout.gif", fps=8.0, progress=quiet)
    with Image.open(made.path) as image:
        assert image.n_frames == 2
    with pytest.raises(FieldError, match="budget"):
        plotting.draw(shown, ["budget"], tmp_path / "budget.png", fps=8.0, progress=quiet)

    # none of them has
    alone = await plotting.from_prediction(services, await predicted(47), Frames(last=3))
    assert [one.label for one in alone.films] == ["prediction"]
    assert alone.notes == ("lead 1", "lead 2", "lead 3")
    assert plotting.suited(alone, plotting.WHAT) == ("film",)
