"""Training learns, goes on where it was stopped, and never loads a damaged checkpoint."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nvp.errors import FieldError
from nvp.model.config import NVPConfig, config_for
from nvp.prediction.forecaster import load_forecaster, windows
from nvp.prediction.rollout import load_ensemble
from nvp.training import checkpoint, trainer
from nvp.training.config import TrainingConfig
from nvp.training.data import TrainingData
from nvp.training.events import Begun, CheckpointSaved, EpochDone, Finished, TrainingEvent
from nvp.training.recipes import suited
from nvp.training.step import learning_rate, predict_step, train_step
from tests.nvp.fields import fluid_series

CONFIG = TrainingConfig(epochs=4, batch=4, learning_rate=3e-3, checkpoint_seconds=1e-6, devices=1)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of a few thousand parameters, which compiles and trains in seconds."""

    def narrow(*args: Any, **settings: Any) -> NVPConfig:
        return replace(config_for(*args, **settings), widths=(8, 8, 8), latent=8)

    monkeypatch.setattr(trainer, "config_for", narrow)


def data() -> TrainingData:
    return TrainingData(train=[fluid_series(seed=s) for s in range(3)], validation=[fluid_series(seed=9)])


def run(directory: Path, config: TrainingConfig = CONFIG) -> Iterator[TrainingEvent]:
    return trainer.train(config, data(), directory=directory)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[TrainingEvent]]:
    """One training from beginning to end, with what it said."""
    directory = tmp_path_factory.mktemp("straight")
    with pytest.MonkeyPatch.context() as patch:
        _narrow.__wrapped__(patch)  # type: ignore[attr-defined]
        return directory, list(run(directory))


def resumed_state(directory: Path) -> dict[str, np.ndarray]:
    return checkpoint.read(max(directory.glob("resume-*")))[1]


def test_says_what_it_does_and_learns(straight: tuple[Path, list[TrainingEvent]]) -> None:
    _, events = straight
    begun = events[0]
    assert isinstance(begun, Begun)
    assert begun.config["training"]["learning_rate"] is not None, "open choices are made"
    assert begun.parameters > 0
    epochs = [event for event in events if isinstance(event, EpochDone)]
    assert [event.epoch for event in epochs] == [1, 2, 3, 4]
    assert epochs[-1].terms["fidelity"] < epochs[0].terms["fidelity"]
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.reason == "epochs"
    assert last.val_fidelity == max(event.val_fidelity for event in epochs) > 0
    saved = [event for event in events if isinstance(event, CheckpointSaved)]
    assert saved[-1].sha256 == last.sha256
    assert all(event.path.is_dir() for event in saved)


def test_stopped_and_resumed_is_bit_equal_to_uninterrupted(
    straight: tuple[Path, list[TrainingEvent]], tmp_path: Path
) -> None:
    directory, events = straight
    stopped = run(tmp_path)
    done = 0
    for event in stopped:
        done += isinstance(event, EpochDone)
        if done == 3:  # the states of the first two epochs are on disk, the third is lost
            stopped.close()  # type: ignore[attr-defined]
            break
    # how often it is written may change in between
    again = list(run(tmp_path, replace(CONFIG, checkpoint_seconds=1e-3)))
    assert [event.epoch for event in again if isinstance(event, EpochDone)] == [3, 4]
    ours, theirs = resumed_state(tmp_path), resumed_state(directory)
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert again[-1].sha256 == events[-1].sha256  # type: ignore[union-attr]


def test_another_configuration_is_not_resumed(straight: tuple[Path, list[TrainingEvent]]) -> None:
    directory, _ = straight
    with pytest.raises(FieldError, match="training of this configuration"):
        list(run(directory, TrainingConfig(epochs=4, batch=4, learning_rate=1e-3)))


def test_steps_are_compiled_once(straight: tuple[Path, list[TrainingEvent]], tmp_path: Path) -> None:
    assert straight
    compiled = train_step._cache_size(), predict_step._cache_size()
    list(run(tmp_path))
    assert (train_step._cache_size(), predict_step._cache_size()) == compiled


def test_loaded_forecaster_rolls_out_and_keeps_the_total(straight: tuple[Path, list[TrainingEvent]]) -> None:
    _, events = straight
    path = events[-1].path  # type: ignore[union-attr]
    forecaster = load_forecaster(path)
    series = fluid_series(seed=9)
    window = windows(series, history=forecaster.history, starts=[0, 1, 2], steps=3)
    frozen, recorded = (forecaster.forecast(window, 3, forcing) for forcing in ("frozen", "recorded"))
    assert frozen.mean.shape == frozen.log_var.shape == (3, 3, 16, 16, 1)
    # the wind is the same at all times
    assert np.array_equal(frozen.mean, recorded.mean)
    totals = frozen.mean.astype(np.float64).sum(axis=(2, 3, 4))
    assert np.allclose(totals, window.history.astype(np.float64).sum(axis=(1, 2, 3, 4))[:, None], rtol=1e-5)
    assert frozen.mean.min() >= 0
    assert (np.diff(frozen.log_var, axis=1) >= 0).all()
    other = forecaster.forecast(windows(series, history=1, starts=[4, 2, 1, 0], steps=1), 1)
    assert np.allclose(other.mean[2:, 0], frozen.mean[1::-1, 0], atol=1e-5)
    with pytest.raises(FieldError, match="recorded context for 6 later steps"):
        forecaster.forecast(window, 7, "recorded")
    ensemble = load_ensemble([path, path]).forecast(window, 1)
    assert np.allclose(ensemble.mean, frozen.mean[:, :1])
    assert np.allclose(ensemble.log_var, frozen.log_var[:, :1], atol=1e-5)


def test_damaged_checkpoints_are_errors(straight: tuple[Path, list[TrainingEvent]], tmp_path: Path) -> None:
    _, events = straight
    copy = tmp_path / "copy"
    shutil.copytree(events[-1].path, copy)  # type: ignore[union-attr]
    load_forecaster(copy)
    largest = max((path for path in copy.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    largest.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FieldError, match="complete checkpoint"):
        load_forecaster(copy)
    largest.write_bytes(whole)
    manifest = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**manifest, "sha256": "0" * 64}))
    with pytest.raises(FieldError, match="sha256"):
        load_forecaster(copy)
    (copy / "config.json").write_text("{")
    with pytest.raises(FieldError, match="readable config"):
        load_forecaster(copy)


def test_a_loss_that_is_not_finite_stops_with_a_reason(tmp_path: Path) -> None:
    whole = data()
    broken = [replace(part, energy=part.energy * np.float32(1e30)) for part in whole.train]
    with pytest.raises(FieldError, match="finite loss"):
        list(trainer.train(CONFIG, replace(whole, train=broken), directory=tmp_path))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("best-", "resume-"))]


def test_learning_rate_rises_and_falls() -> None:
    config = suited(TrainingConfig(), config_for(data().spec, fluid_series()))
    rates = [learning_rate(config, fraction) for fraction in np.linspace(0, 1, 101)]
    peak = int(np.argmax(rates))
    assert math.isclose(rates[peak], config.learning_rate or 0)
    assert peak == 5
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert all(a >= b for a, b in zip(rates[peak:], rates[peak + 1 :], strict=False))
