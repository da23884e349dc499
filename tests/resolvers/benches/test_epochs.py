"""Timed epochs in small: what is extrapolated is said, and nobody without a GPU is held to one's time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from resolvers.benches import epochs
from resolvers.benches.epochs import Work, drifting
from resolvers.benches.suites import SUITES, SuiteConfig


def test_the_suite_in_small() -> None:
    told: list[str] = []
    found = SUITES["epochs"](SuiteConfig(quick=True), lambda name, share, line: told.append(line))
    assert (found["n"], len(found["results"]["epoch_seconds"])) == (5, 5)
    assert found["epoch"] == found["timed"]
    assert found["extrapolated"]["from"] == "5 whole epochs"
    median = np.median(found["results"]["epoch_seconds"])
    said = found["extrapolated"]
    assert said["epoch_seconds"] == pytest.approx(median, rel=0.5)
    whole = found["results"]["first_epoch_seconds"] + 99 * said["epoch_seconds"]
    assert said["minutes"] == pytest.approx(whole / 60, abs=0.02)
    assert found["criteria"] == {"100 epochs in 60 minutes": None, "100 epochs in 1440 minutes": True}
    assert found["passed"]
    assert sum(line.startswith("epoch") for line in told) == 6


def measured(monkeypatch: pytest.MonkeyPatch, seconds: float, *, gpu: bool) -> dict[str, Any]:
    def timed(work: Work, *_: Any, **settings: Any) -> dict[str, Any]:
        # two thirds of an epoch are its steps
        parts = {"training": [2 * seconds / 3 * work.batches] * 5, "rest": [seconds / 3 * work.looks] * 5}
        return {"first": 60.0, "parameters": 1, "compute": "float32", **parts}

    monkeypatch.setattr(epochs, "_timed", timed)
    monkeypatch.setattr(epochs, "on_gpu", lambda: gpu)
    return epochs.run(SuiteConfig(), lambda *_: None)


def test_a_processor_takes_a_few_steps_which_are_scaled_and_labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured(monkeypatch, 0.6, gpu=False)
    assert (found["epoch"]["sequences"], found["epoch"]["steps"], found["epoch"]["scale"]) == (20, 50, 256)
    assert found["extrapolated"]["from"] == "5 epochs of 2 out of 125 steps"
    # 125 batches to train on, 7 to look at
    assert found["extrapolated"]["epoch_seconds"] == pytest.approx(0.4 * 125 + 0.2 * 7)
    assert found["extrapolated"]["minutes"] == pytest.approx((60 + 99 * 51.4) / 60, abs=0.01)
    assert found["criteria"]["100 epochs in 60 minutes"] is None
    assert found["passed"]
    assert not measured(monkeypatch, 20.0, gpu=False)["passed"]


def test_a_gpu_takes_whole_epochs_and_is_held_to_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured(monkeypatch, 0.1, gpu=True)
    assert found["extrapolated"]["from"] == "5 whole epochs"
    assert found["criteria"]["100 epochs in 60 minutes"] is True
    slow = measured(monkeypatch, 0.5, gpu=True)
    assert slow["criteria"] == {"100 epochs in 60 minutes": False, "100 epochs in 1440 minutes": True}
    assert not slow["passed"]


def test_the_wind_explains_the_fields() -> None:
    series = drifting(Work(size="tiny", scale=16, sequences=1, steps=3), seed=0, number=2)
    assert series.energy.shape == (4, 16, 16, 1)
    assert series.energy.min() > 0
    wind = series.context["velocity"][0, 0, 0].astype(int)
    assert np.array_equal(series.energy[1], np.roll(series.energy[0], (wind[1], wind[0]), (0, 1)))
    other = drifting(Work(size="tiny", scale=16, sequences=1, steps=3), seed=0, number=3)
    assert not np.array_equal(series.energy, other.energy)
