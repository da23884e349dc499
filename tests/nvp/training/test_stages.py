"""Two stages are one stream of events: its progress grows, and its end is the second stage's checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nvp.training import stages
from nvp.training.data import TrainingData
from nvp.training.events import Begun, CheckpointSaved, Finished, Progress, TrainingEvent
from nvp.training.stage_config import StageConfig
from tests.nvp.fields import fluid_series

DATA = TrainingData(train=[fluid_series()], validation=[fluid_series()])


def progress(fraction: float, fidelity: float | None = None) -> Progress:
    return Progress(
        epoch=1, epochs=2, step=3, loss=0.5, samples_per_second=10.0, fidelity=fidelity, eta=1.0, fraction=fraction
    )


def first() -> Iterator[TrainingEvent]:
    yield Begun(config={}, parameters=10)
    yield progress(0.5)
    saved = CheckpointSaved(path=Path("best-3"), step=3, epoch=1, val_fidelity=0.4, sha256="a")
    yield saved
    yield progress(1.0, 0.4)
    yield Finished(path=saved.path, step=3, epoch=1, val_fidelity=0.4, sha256="a", seconds=5.0, reason="epochs")


@pytest.mark.parametrize("stage", ["members", "diffusion"])
def test_the_second_stage_takes_what_the_first_has_written(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    config = StageConfig(kind=stage)  # type: ignore[arg-type]
    asked: list[object] = []

    def second(*given: object, directory: Path) -> Iterator[Progress | CheckpointSaved]:
        asked.extend([*given, directory])
        yield progress(0.5)
        yield CheckpointSaved(path=Path("members-9"), step=9, epoch=3, val_fidelity=0.5, sha256="b")

    monkeypatch.setattr(stages, "finetune" if stage == "members" else "denoise_residual", second)
    events = list(stages.in_two_stages(first(), config, DATA, Path("here")))
    assert asked == [config, Path("best-3"), DATA, Path("here")]
    assert [type(event) for event in events] == [
        Begun, Progress, CheckpointSaved, Progress, Progress, CheckpointSaved, Finished,
    ]  # fmt: skip
    moving = [event for event in events if isinstance(event, Progress)]
    assert [event.fraction for event in moving] == pytest.approx([0.35, 0.7, 0.85])
    assert moving[-1].fidelity == 0.4
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert (finished.path, finished.step, finished.epoch, finished.sha256) == (Path("members-9"), 9, 3, "b")
    assert finished.val_fidelity == 0.5
    assert finished.seconds > 5
