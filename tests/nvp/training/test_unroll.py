"""Unrolled steps: who learns from what, noise that keeps the law, and a horizon that grows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.model.config import config_for
from nvp.model.inputs import Inputs
from nvp.model.nvp import Prediction
from nvp.training.config import TrainingConfig
from nvp.training.data import Examples
from nvp.training.unroll import disturbed, horizon_at, roll_out
from tests.nvp.fields import fluid_series, temperature_series
from tests.nvp.training.toy import batch, setting


def growing(factor: Any) -> Any:
    """A network that multiplies."""

    def network(inputs: Inputs, key: Any) -> Prediction:
        mean = factor * jnp.asarray(inputs.history[:, -1])
        return Prediction(mean, jnp.zeros_like(mean), jnp.zeros(len(mean)))

    return network


def test_the_gradient_passes_through_the_last_step_or_through_all() -> None:
    _, model, _ = setting()
    given = batch(model, horizon=3)

    def last_mean(factor: Any, *, through: bool) -> Any:
        return jnp.mean(roll_out(growing(factor), given, None, through=through).mean[:, -1])

    state = float(jnp.mean(given.inputs.history[:, -1]))
    # factor³ · state: its derivative is 3 factor² · state, of which the last step alone gives a third
    for through, expected in ((True, 3 * 4.0 * state), (False, 4.0 * state)):
        assert float(jax.grad(last_mean)(2.0, through=through)) == pytest.approx(expected, rel=1e-5)


def test_leads_follow_each_other_with_the_recorded_forcing_and_growing_variance() -> None:
    series = temperature_series()
    config = config_for(domain(series.domain), series)
    examples = Examples(config, [series])
    given = jax.tree.map(jnp.asarray, examples.rollouts(np.array([0, 4]), 3))
    assert np.array_equal(given.truth[1], series.energy[7:10])
    seen: list[Inputs] = []

    def network(inputs: Inputs, key: Any) -> Prediction:
        seen.append(inputs)
        mean = inputs.history[:, -1] + 1
        return Prediction(mean, jnp.zeros_like(mean), jnp.zeros(len(mean)))

    said = roll_out(network, given, None, through=False)
    assert np.allclose(said.mean[:, 2], given.inputs.history[:, -1] + 3)
    assert np.allclose(np.exp(said.log_var[0, :, 0, 0, 0]), [1, 2, 3])
    assert np.allclose(seen[2].history[:, 0], given.inputs.history[:, -1])
    # hours of day go on
    assert np.allclose(np.diff([float(inputs.clock[0, 0]) for inputs in seen]), 1 / 24, atol=1e-6)
    moving = fluid_series()
    config = config_for(domain(moving.domain), moving)
    recorded = replace(
        moving, context={"velocity": np.arange(8, dtype=np.float32)[:, None, None, None] + moving.context["velocity"]}
    )
    later = Examples(config, [recorded]).rollouts(np.array([2]), 3).context
    assert np.array_equal(later[0], recorded.context["velocity"][3:5])


def test_windows_of_a_horizon_have_that_much_future() -> None:
    series = temperature_series()
    examples = Examples(config_for(domain(series.domain), series), [series.part(0, 10), series.part(10, 30)])
    assert [tuple(row) for row in examples.index[examples.numbers_for(4)]] == [
        *((0, t) for t in range(2, 6)),
        *((1, t) for t in range(2, 16)),
    ]
    batches = [list(examples.epoch(0, batch=4, rng_seed=0, augment=False, horizon=k)) for k in (1, 4)]
    assert len(batches[0]) == len(batches[1]) == examples.steps(4)
    assert batches[1][0].truth.shape[1] == 4
    with pytest.raises(FieldError, match="Unroll fewer steps"):
        examples.numbers_for(19)


def test_noise_is_of_the_size_of_the_change_and_keeps_the_law() -> None:
    _, model, _ = setting()
    given = batch(model, range(8))
    spiky = given.inputs.history.at[0].set(0.0).at[0, :, 3, 3].set(100.0)
    inputs, truth = given.inputs._replace(history=spiky), given.truth[:, 0]
    old = inputs.history[:, -1]
    key = jax.random.key(0)
    new = disturbed(inputs, truth, 0.1, key, conserving=True).history[:, -1]
    assert float(new.min()) >= 0
    total = old.sum(axis=(1, 2, 3))
    assert np.allclose(new.sum(axis=(1, 2, 3)), total, rtol=1e-6)
    rms = [np.sqrt(np.mean(np.asarray(x, np.float64) ** 2, axis=(1, 2, 3)))[1:] for x in (new - old, truth - old)]
    moving = rms[1] > 0
    assert moving.any()
    ratio = (rms[0] / np.where(moving, rms[1], 1))[moving]
    assert ((ratio > 0.06) & (ratio < 0.11)).all(), ratio
    free = disturbed(inputs, truth, 0.1, key, conserving=False).history[:, -1]
    assert not np.allclose(free.sum(axis=(1, 2, 3)), total, rtol=1e-6)
    assert not np.array_equal(new, disturbed(inputs, truth, 0.1, jax.random.key(1), conserving=True).history[:, -1])


def test_the_horizon_grows_in_equal_parts() -> None:
    config = TrainingConfig(unroll=4, curriculum=0.6)
    assert [horizon_at(config, f) for f in (0.0, 0.19, 0.2, 0.39, 0.4, 0.59, 0.6, 1.0)] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert horizon_at(TrainingConfig(unroll=4, curriculum=0.0), 0.0) == 4
    assert horizon_at(TrainingConfig(), 0.0) == 1
