"""What is no setting of a training is refused in one line, in Python as on the command line."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nvp.errors import FieldError
from nvp.training.config import LossConfig, TrainingConfig


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ({"epochs": 0}, "epochs > 0"),
        ({"seconds": math.nan}, "seconds > 0"),
        ({"learning_rate": math.nan}, "learning_rate > 0 and finite"),
        ({"learning_rate": math.inf}, "learning_rate > 0 and finite"),
        ({"weight_decay": -1.0}, "weight_decay >= 0"),
        ({"largest_update": math.nan}, "largest_update >= 0"),
        ({"input_noise": math.nan}, "input_noise >= 0"),
        ({"checkpoint_seconds": -1.0}, "checkpoint_seconds >= 0"),
        ({"rng_seed": -1}, "rng_seed >= 0"),
        ({"beta2": 2.0}, "beta2 > 0 and < 1"),
        ({"ema": 1.0}, "ema >= 0 and < 1"),
        ({"dropout": 1.5}, "dropout >= 0 and < 1"),
        ({"curriculum": math.nan}, "curriculum in 0 … 1"),
    ],
)
def test_what_is_no_setting_is_refused(setting: dict[str, Any], wanted: str) -> None:
    with pytest.raises(FieldError, match=f"expected {wanted}, got") as refused:
        TrainingConfig(**setting)
    assert "\n" not in str(refused.value)


def test_no_weight_is_nan() -> None:
    with pytest.raises(FieldError, match="weights >= 0"):
        LossConfig(mse=math.nan)
    for setting in ({"ema": 0.0}, {"largest_update": 0.0}, {"weight_decay": 0.0}, {"seconds": math.inf}):
        TrainingConfig(**setting)
