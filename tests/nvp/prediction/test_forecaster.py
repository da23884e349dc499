"""Windows are what is known at t, and a checkpoint of an unknown kind is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nvp.errors import FieldError
from nvp.prediction.forecaster import continuation, load_forecaster, truth, windows
from tests.nvp.fields import fluid_series, temperature_series


def test_windows_end_at_their_start_and_truth_follows() -> None:
    series = temperature_series()
    window = windows(series, history=3, starts=[2, 10], steps=4)
    assert np.array_equal(window.history[1], series.energy[8:11])
    assert series.valid_time is not None
    assert window.valid_time is not None
    assert window.valid_time[1] == series.valid_time[10]
    assert np.array_equal(truth(series, starts=[2, 10], steps=4)[0], series.energy[3:7])
    shorter = continuation(window, history=1)
    assert np.array_equal(shorter.history[:, 0], window.history[:, -1])
    with pytest.raises(FieldError, match="at least 4 frames"):
        continuation(window, history=4)


def test_forcing_is_the_context_of_later_steps_only() -> None:
    series = fluid_series()
    series.context["velocity"][:, 0, 0, 0] = np.arange(len(series))
    window = windows(series, history=2, starts=[3], steps=3)
    assert window.context["velocity"][0, :, 0, 0, 0].tolist() == [2, 3]
    assert window.forcing["velocity"][0, :, 0, 0, 0].tolist() == [4, 5]
    fluid_series.cache_clear()


@pytest.mark.parametrize("starts", [[0], [6]])
def test_windows_beyond_the_series_are_refused(starts: list[int]) -> None:
    with pytest.raises(FieldError, match="expected starts in 1 … 5"):
        windows(fluid_series(frames=8), history=2, starts=starts, steps=2)


def test_unknown_kinds_and_missing_directories_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="readable config"):
        load_forecaster(tmp_path / "none")
    (tmp_path / "config.json").write_text(json.dumps({"kind": "oracle"}))
    with pytest.raises(FieldError, match="'oracle'"):
        load_forecaster(tmp_path)
