"""Recipes fill what is left open, and a configuration survives its JSON."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.model.config import config_for
from nvp.training.config import LossConfig, TrainingConfig
from nvp.training.recipes import SEEDS_LOSS, suited
from nvp.training.step import learning_rate
from tests.nvp.fields import fluid_series, temperature_series

SERIES = fluid_series()
MODEL = config_for(domain(SERIES.domain), SERIES)


def test_the_seeds_recipe_is_what_it_is_called() -> None:
    made = suited(TrainingConfig(recipe="seeds"), MODEL, domain("fluid_dynamics"))
    assert (made.batch, made.learning_rate, made.weight_decay, made.ema, made.beta2) == (16, 1e-4, 0.0, 0.0, 0.999)
    assert made.largest_update == 0
    assert made.loss == SEEDS_LOSS
    assert SEEDS_LOSS.weights == {"mse": 1.0, "conservation": 0.1, "entropy": 0.05}
    assert {learning_rate(made, fraction) for fraction in (0.0, 0.01, 0.5, 1.0)} == {1e-4}


def test_what_is_given_is_kept_and_nothing_stays_open() -> None:
    for recipe in ("default", "seeds"):
        made = suited(TrainingConfig(recipe=recipe, batch=3, ema=0.5, augment=False), MODEL)  # type: ignore[arg-type]
        assert (made.batch, made.ema, made.augment) == (3, 0.5, False)
        chosen = (
            "history",
            "epochs",
            "learning_rate",
            "schedule",
            "weight_decay",
            "beta2",
            "largest_update",
            "dropout",
            "patience",
            "loss",
        )
        assert all(getattr(made, name) is not None for name in chosen)
    site = temperature_series()
    rates = [suited(TrainingConfig(size=size), MODEL).learning_rate for size in ("tiny", "small", "base")]
    assert rates == [2e-3, 1e-3, 5e-4]
    held_back = suited(TrainingConfig(), config_for(domain(site.domain), site))
    assert (held_back.weight_decay, held_back.dropout) == (1.0, 0.3)


def test_a_configuration_survives_its_json() -> None:
    config = TrainingConfig(recipe="seeds", loss=LossConfig(gradient=0.1, beta=0.5), unroll=3, accumulate=2, batch=4)
    assert TrainingConfig.from_json(config.to_json()) == config
    with pytest.raises(FieldError, match="variance_wight"):
        TrainingConfig.from_json({"loss": {"variance_wight": 1.0}})


@pytest.mark.parametrize(
    "wrong", [{"unroll": 0}, {"accumulate": 0}, {"curriculum": 1.5}, {"input_noise": -1.0}, {"keep": 0}]
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(FieldError, match="expected") as caught:
        replace(TrainingConfig(), **wrong)  # type: ignore[arg-type]
    assert caught.value.code == "BAD_CONFIG"
