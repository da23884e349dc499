"""What the network is told: of which frames, in which order, and that it listens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from nvp.atlas.series import Series
from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.model.config import NVPConfig, config_for
from nvp.model.hints import brought, gathered, moved, origins
from nvp.model.inputs import context_at, inputs_of
from nvp.model.nvp import NVP, parameter_count
from nvp.model.statistics import fit_statistics
from nvp.prediction.forecaster import windows
from nvp.training.data import Examples
from nvp.training.step import predict_step, split
from tests.nvp.fields import fluid_series

PERIODIC: Any = ("periodic", "periodic")


def gusty() -> Series:
    """Frames whose every context field says which frame it is, in two fields and two parameters."""
    series = fluid_series(scale=16)
    t = np.arange(len(series), dtype=np.float32)[:, None, None, None] * np.ones((1, 16, 16, 1), np.float32)
    velocity = np.concatenate([0.1 * t, -0.1 * t], axis=-1)
    return replace(
        series,
        context={"velocity": velocity, "temperature": 100 + t},
        parameters={**series.parameters, "temperature": 3.0},
    )


def test_context_is_that_of_t_and_of_the_frames_before() -> None:
    series = gusty()
    config = config_for(domain(series.domain), series, history=2)
    assert config.context_layout == (("temperature", 1), ("velocity", 2)) * 2
    assert config.context_channels == 6
    window = windows(series, history=2, starts=[3, 4], steps=3)
    for step in range(3):
        told = context_at(config, window, step)[:, 0, 0]
        t = np.array([3, 4]) + step
        expected = [100 + t, 0.1 * t, -0.1 * t, 100 + t - 1, 0.1 * (t - 1), -0.1 * (t - 1)]
        np.testing.assert_allclose(told, np.stack(expected, axis=-1), rtol=1e-6)
    # training examples say the same, at t and later
    examples = Examples(config, [series])
    numbers = np.array([np.flatnonzero(examples.index[:, 1] == t)[0] for t in (3, 4)])
    batch = examples.rollouts(numbers, 3)
    np.testing.assert_array_equal(batch.inputs.context, inputs_of(config, window).context)
    np.testing.assert_array_equal(batch.context[:, 1], context_at(config, window, 2))


def test_context_has_no_more_history_than_the_field() -> None:
    with pytest.raises(FieldError, match="context of 1"):
        NVPConfig(history=1, context=(("velocity", 2),), context_history=2)


def test_a_flow_brings_the_field_and_its_heat_from_where_they_were() -> None:
    rng = np.random.default_rng(0)
    field, heat = jnp.asarray(rng.uniform(0, 1, (2, 1, 16, 16, 1)), jnp.float32)
    origin = origins(jnp.broadcast_to(jnp.array([2.0, 1.0]), (1, 16, 16, 2)), PERIODIC)
    np.testing.assert_allclose(origin[0, 5, 5], [-2, -1], atol=1e-5)
    one = jnp.ones((1, 1, 1, 1))
    found = brought(field, origin, heat=heat, level=None, ratio=2 * one, boundaries=PERIODIC)
    there = jnp.roll(field, (1, 2), (1, 2))
    np.testing.assert_allclose(found.change, 2 * (there - field), atol=1e-4)
    assert found.heat is not None
    np.testing.assert_allclose(found.heat, jnp.roll(heat, (1, 2), (1, 2)) - heat, atol=1e-4)
    assert found.density is None
    assert len(found.known()) == 5
    assert len(found.weighed()) == 3


def test_what_converges_grows_denser_and_keeps_its_total() -> None:
    x = 2 * np.pi * np.arange(64) / 64
    shift = np.zeros((1, 64, 64, 2), np.float32)
    shift[..., 0] = -3 * np.sin(x)
    origin = jnp.asarray(shift)
    gain = gathered(origin, PERIODIC)
    np.testing.assert_allclose(gain[0, 0, :, 0], 1 - 3 * 2 * np.pi / 64 * np.cos(x), atol=2e-3)
    field = jnp.asarray(1 + 0.5 * np.cos(x), jnp.float32)[None, None, :, None] * jnp.ones((1, 64, 64, 1))
    np.testing.assert_allclose((moved(field, origin, PERIODIC) * gain).sum(), field.sum(), rtol=1e-3)
    uniform = brought(
        jnp.zeros((1, 64, 64, 1)),
        origin,
        heat=None,
        level=jnp.full((1, 1, 1, 1), 2.0),
        ratio=jnp.ones((1, 1, 1, 1)),
        boundaries=PERIODIC,
    )
    np.testing.assert_allclose(uniform.change, 2 * (gain - 1), atol=1e-5)


def test_it_listens_to_temperature_and_serves_larger_grids_with_the_same_weights() -> None:
    series = gusty()
    config = replace(config_for(domain(series.domain), series, history=2), widths=(8, 8, 8), latent=16)
    assert config.parameters == ("diffusivity", "temperature", "viscosity")
    model = NVP(config, fit_statistics(config, [series]), rng=np.random.default_rng(0))
    rng = np.random.default_rng(1)
    for kernel in (model.unet.decoder.leave.kernel, *(film.dense.kernel for film in model.unet.decoder.film)):
        kernel[...] = jnp.asarray(0.3 * rng.standard_normal(kernel.shape), jnp.float32)
    parts = split(model)
    inputs = inputs_of(config, windows(series, history=2, starts=[3, 5], steps=1))
    mean = np.asarray(predict_step(*parts, inputs).mean)
    # the same for every cell is told as a number, else as a field; either is heard
    warmer = inputs._replace(parameters=inputs.parameters + np.float32([[0, 1, 0]]))
    assert np.abs(np.asarray(predict_step(*parts, warmer).mean) - mean).max() > 1e-3
    hotter = inputs._replace(context=inputs.context + np.float32([50, 0, 0, 0, 0, 0]))
    assert np.abs(np.asarray(predict_step(*parts, hotter).mean) - mean).max() > 1e-3
    # a periodic field laid out four times evolves as four of it
    twice = inputs._replace(
        history=np.tile(inputs.history, (1, 1, 2, 2, 1)), context=np.tile(inputs.context, (1, 2, 2, 1))
    )
    np.testing.assert_allclose(predict_step(*parts, twice).mean, np.tile(mean, (1, 2, 2, 1)), rtol=1e-3, atol=1e-4)


def test_sizes_have_a_state_of_512_numbers_and_about_as_many_parameters_as_they_say() -> None:
    series = gusty()
    counts = {}
    for size in ("tiny", "small", "base"):
        config = config_for(domain(series.domain), series, size=size, history=2)  # type: ignore[arg-type]
        assert config.latent == (128 if size == "tiny" else 512)
        counts[size] = parameter_count(NVP(config, fit_statistics(config, [series]), rng=np.random.default_rng(0)))
    announced = {"tiny": 0.15e6, "small": 1e6, "base": 8.5e6}
    assert all(0.9 < counts[size] / announced[size] < 1.1 for size in announced), counts
