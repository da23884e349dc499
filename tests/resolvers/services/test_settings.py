"""Settings by name fit the configuration's types, or are refused with what was expected."""

from __future__ import annotations

from typing import Any

import pytest

from graph.errors import GraphError
from nvp.errors import FieldError
from nvp.training.config import TrainingConfig
from resolvers.services.settings import fitted, parse_settings, training_settings
from resolvers.services.submission import TrainingRequest, check_training


def test_texts_become_the_fields_types() -> None:
    texts = ["batch=16", "learning_rate=1e-3", "augment=false", "patience=none", "ema=0", "cpu_seconds=300"]
    made = TrainingConfig(**fitted(TrainingConfig, parse_settings(texts)))
    assert (made.batch, made.learning_rate, made.augment, made.patience) == (16, 1e-3, False, None)
    assert isinstance(made.ema, float)
    assert isinstance(made.cpu_seconds, float)


def test_settings_of_a_part_have_a_dot() -> None:
    given = parse_settings(["loss.mse=1", "loss.conservation=0.1", "recipe=seeds"])
    assert given == {"loss": {"mse": 1, "conservation": 0.1}, "recipe": "seeds"}
    made = TrainingConfig(**fitted(TrainingConfig, training_settings("tiny", given)))
    assert made.loss is not None
    assert (made.loss.mse, made.loss.conservation, made.recipe) == (1.0, 0.1, "seeds")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"batches": 4}, "Did you mean batch?"),
        ({"batch": "many"}, "batch as a whole number or none"),
        ({"batch": 2.5}, "batch as a whole number"),
        ({"batch": True}, "batch as a whole number"),
        ({"augment": 1}, "augment as true or false"),
        ({"learning_rate": float("nan")}, "learning_rate as a number"),
        ({"learning_rate": -1.0}, "learning_rate > 0"),
        ({"epochs": 3}, "epochs by --epochs"),
        ({"loss": 1}, "loss as settings of their own (fidelity, "),
        ({"loss": {"mae": 1}}, "got 'mae'"),
        ({"compute": "float16"}, "compute as one of float32, bfloat16"),
        ({"size": "tiny"}, "size by --model"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(FieldError) as caught:
        training_settings("tiny", given)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["batch", "=3", "batch=", " = "])
def test_a_text_that_is_no_setting(text: str) -> None:
    with pytest.raises(FieldError, match="NAME=VALUE"):
        parse_settings([text])


def test_a_setting_twice_and_settings_of_ridge() -> None:
    with pytest.raises(FieldError, match="once"):
        parse_settings(["batch=3", "batch=4"])
    with pytest.raises(FieldError, match=r"loss\.mse once"):
        parse_settings(["loss=none", "loss.mse=1"])
    with pytest.raises(FieldError, match="no settings for ridge"):
        training_settings("ridge", {"batch": 4})
    with pytest.raises(GraphError, match="settings by name"):
        check_training(TrainingRequest(domain="plasma", settings=["batch"]))  # type: ignore[arg-type]
