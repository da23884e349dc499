"""A training that is interrupted comes to the same bits, keeps few states, logs every event and gives up in order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nvp.errors import FieldError
from nvp.model.statistics import fit_statistics
from nvp.training import checkpoint, logs, trainer
from nvp.training.config import TrainingConfig
from nvp.training.data import TrainingData
from nvp.training.events import Begun, CheckpointSaved, EpochDone, Finished, TrainingEvent
from tests.nvp.fields import fluid_series
from tests.nvp.training.toy import Toy

CONFIG = TrainingConfig(epochs=4, batch=4, learning_rate=3e-3, checkpoint_seconds=1e-9, tensorboard=False, devices=1)

WAYS: dict[str, dict[str, Any]] = {
    "unrolled": {"unroll": 2, "curriculum": 0.5, "input_noise": 0.1},
    "in parts": {"accumulate": 2, "dropout": 0.2},
    "several at a time": {"dispatch": 2, "recipe": "seeds"},
}


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "NVP", Toy)


def data() -> TrainingData:
    return TrainingData(train=[fluid_series(seed=s) for s in range(3)], validation=[fluid_series(seed=9)])


def run(directory: Path, config: TrainingConfig) -> Iterator[TrainingEvent]:
    return trainer.train(config, data(), directory=directory)


def state(directory: Path) -> dict[str, np.ndarray]:
    return checkpoint.read(max(directory.glob("resume-*")))[1]


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("way", WAYS)
def test_two_epochs_and_two_more_are_four(way: str, tmp_path: Path) -> None:
    config = replace(CONFIG, **WAYS[way])
    whole = list(run(tmp_path / "whole", config))
    first = run(tmp_path / "parts", config)
    for event in first:
        # the state after the second epoch is written with the checkpoint that follows it
        if isinstance(event, EpochDone) and event.epoch == 3:
            first.close()  # type: ignore[attr-defined]
            break
    again = list(run(tmp_path / "parts", config))
    epochs = [event for event in again if isinstance(event, EpochDone)]
    assert [event.epoch for event in epochs] == [3, 4]
    assert same(state(tmp_path / "parts"), state(tmp_path / "whole"))
    straight = [event for event in whole if isinstance(event, EpochDone)]
    assert [event.train_loss for event in epochs] == [event.train_loss for event in straight[2:]]
    if way == "unrolled":
        assert [event.horizon for event in straight] == [1, 1, 2, 2]


def test_a_shorter_training_can_be_prolonged(tmp_path: Path) -> None:
    # with a constant rate its end is not in what came before
    seeds = replace(CONFIG, recipe="seeds", learning_rate=None)
    list(run(tmp_path / "whole", seeds))
    list(run(tmp_path / "parts", replace(seeds, epochs=2)))
    list(run(tmp_path / "parts", seeds))
    assert same(state(tmp_path / "parts"), state(tmp_path / "whole"))


def test_the_last_states_are_kept_and_a_damaged_one_can_be_left(tmp_path: Path) -> None:
    list(run(tmp_path, CONFIG))
    assert [path.name for path in sorted(tmp_path.glob("resume-*"))] == ["resume-000003", "resume-000004"]
    # time that was spent counts on
    again = trainer.Training(CONFIG, data(), tmp_path)
    again.restore()
    assert again.epoch == 4
    assert min(again.clock.before) > 0
    file = max((p for p in (tmp_path / "resume-000004").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(FieldError, match=r"Remove resume-000004 to go on from resume-000003\.") as caught:
        list(run(tmp_path, CONFIG))
    assert "\n" not in str(caught.value)


def test_it_ends_where_validation_stands_still(tmp_path: Path) -> None:
    # so small a rate changes no parameter: the first validation stays the best
    told = list(run(tmp_path, replace(CONFIG, epochs=9, patience=2, learning_rate=1e-30, ema=0.0)))
    assert [event.epoch for event in told if isinstance(event, EpochDone)] == [1, 2, 3]
    ended = told[-1]
    assert isinstance(ended, Finished)
    assert (ended.reason, ended.epoch) == ("patience", 1)


def test_a_batch_beyond_the_examples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="a batch of at most 256 out of 21 examples, got 100000000"):
        next(run(tmp_path, replace(CONFIG, batch=100_000_000)))
    assert not list(tmp_path.iterdir())


def test_every_event_is_a_line_of_the_log(tmp_path: Path) -> None:
    told = list(run(tmp_path, CONFIG))
    lines = [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()]
    kinds = (Begun, EpochDone, CheckpointSaved, Finished)
    assert [line["event"] for line in lines] == [type(event).__name__ for event in told if isinstance(event, kinds)]
    done = [event for event in told if isinstance(event, EpochDone)]
    assert [line["val_fidelity"] for line in lines if line["event"] == "EpochDone"] == [e.val_fidelity for e in done]
    assert set(done[0].terms) == {"fidelity", "variance"}
    assert done[0].train_loss == pytest.approx(done[0].terms["fidelity"] + 0.02 * done[0].terms["variance"], rel=1e-5)
    assert done[0].metrics["rmse"] > 0
    assert done[0].samples_per_second > 0
    begun = told[0]
    assert isinstance(begun, Begun)
    assert len(begun.data_digest) == 64
    # an attempt that begins anew from epoch 3 takes back what was said of later ones
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(json.dumps({"event": "EpochDone", "epoch": 3, "val_fidelity": 0.5}) + "\n" + '{"event": "Epo')
    epochs = [line for line in logs.read(tmp_path) if line["event"] == "EpochDone"]
    assert [line["epoch"] for line in epochs] == [1, 2, 3]
    assert epochs[-1]["val_fidelity"] == 0.5


def test_the_board_is_written_where_it_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(run(tmp_path, replace(CONFIG, epochs=1)))
    assert not (tmp_path / "tensorboard").exists()
    pytest.importorskip("tensorboardX")
    list(run(tmp_path / "board", replace(CONFIG, epochs=1, tensorboard=True)))
    (written,) = (tmp_path / "board" / "tensorboard").iterdir()
    assert b"validation/fidelity" in written.read_bytes()
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(FieldError, match="extra `tensorboard`"):
        list(run(tmp_path / "none", replace(CONFIG, epochs=1, tensorboard=True)))
    list(run(tmp_path / "quiet", replace(CONFIG, epochs=1, tensorboard=None)))


def test_data_have_a_digest_of_their_frames_in_order() -> None:
    one = data()
    assert one.digest == data().digest
    assert replace(one, train=one.train[::-1]).digest != one.digest
    assert replace(one, validation=one.train).digest == one.digest
    changed = one.train[0].energy.copy()
    changed[-1, -1, -1] += 1e-6
    assert replace(one, train=[replace(one.train[0], energy=changed), *one.train[1:]]).digest != one.digest


def test_some_bad_steps_are_skipped_and_many_end_it_with_the_best_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = data()
    one = whole.train[0].energy.copy()
    one[3, 2, 2] = np.inf
    some = replace(whole, train=[replace(whole.train[0], energy=one), *whole.train[1:]])
    monkeypatch.setattr(trainer, "fit_statistics", lambda model, _: fit_statistics(model, whole.train))
    told = list(trainer.train(CONFIG, some, directory=tmp_path / "some"))
    done = [event for event in told if isinstance(event, EpochDone)]
    assert all(0 < event.skipped < 5 for event in done)
    assert all(np.isfinite(event.train_loss) for event in done)
    assert isinstance(told[-1], Finished)
    # from the third epoch on everything is broken
    epoch = trainer.Examples.epoch

    def breaking(self: Any, number: int, **settings: Any) -> Any:
        for chosen in epoch(self, number, **settings):
            yield chosen._replace(truth=chosen.truth * np.float32(np.nan)) if number >= 2 else chosen

    monkeypatch.setattr(trainer.Examples, "epoch", breaking)
    events: list[TrainingEvent] = []
    running = trainer.train(replace(CONFIG, checkpoint_seconds=1e9), whole, directory=tmp_path / "many")
    with pytest.raises(FieldError, match="finite loss and gradient") as caught:
        events.extend(event for event in running)
    assert caught.value.code == "DIVERGED"
    saved = [event for event in events if isinstance(event, CheckpointSaved)]
    assert len(saved) == 1
    assert saved[0].path.is_dir()
    assert saved[0].val_fidelity == max(event.val_fidelity for event in events if isinstance(event, EpochDone))
