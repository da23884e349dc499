"""All strengths begin alike, and the penalty does what it says."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.coordinator.experiments.attention import CLASSES, draw, run
from nvp.coordinator.experiments.config import AttentionConfig
from nvp.errors import FieldError


def test_strengths_begin_alike_and_the_penalty_evens_attention_out() -> None:
    found = run(AttentionConfig(trials=2, steps=40, strengths=(0.0, 1.0)), lambda *_: None)
    assert found.passed  # the same weights for every strength
    error, variance = zip(*(found.arms[f"λ = {each}"] for each in ("0", "1")), strict=True)
    assert variance[0].estimate > variance[1].estimate
    assert error[0].estimate < found.arms["untrained"][0].estimate
    with pytest.raises(FieldError, match="strengths"):
        AttentionConfig(strengths=(0.0, 2.0))


def test_the_target_is_the_mean_of_a_tokens_class() -> None:
    x, y = (np.asarray(each) for each in draw(jax.random.key(0), 2))
    same = x[0, :, :CLASSES].argmax(axis=1) == x[0, 3, :CLASSES].argmax()
    np.testing.assert_allclose(y[0, 3, CLASSES:], x[0, same, CLASSES:].mean(axis=0), rtol=1e-5)
    assert not jnp.any(y[:, :, :CLASSES])
