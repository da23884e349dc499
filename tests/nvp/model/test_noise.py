"""Noise makes members: untrained they are equal, trained they differ, and each of them keeps the law."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.model.config import NVPConfig, config_for
from nvp.model.inputs import inputs_of
from nvp.model.nvp import NVP
from nvp.model.statistics import fit_statistics
from nvp.prediction.forecaster import windows
from nvp.training.step import predict_step, split
from tests.nvp.fields import fluid_series


@pytest.fixture(scope="module")
def series():
    return fluid_series(scale=16)


@pytest.fixture(scope="module")
def model(series) -> NVP:
    config = config_for(domain(series.domain), series)
    config = replace(config, widths=(8, 8, 8), latent=16, noise=4)
    model = NVP(config, fit_statistics(config, [series]), rng=np.random.default_rng(0))
    last, rng = model.unet.decoder.leave, np.random.default_rng(1)
    last.kernel[...] = jnp.asarray(rng.standard_normal(last.kernel.shape), jnp.float32)
    for film in model.unet.decoder.film:
        film.dense.kernel[...] = jnp.asarray(rng.standard_normal(film.dense.kernel.shape), jnp.float32)
    return model


def test_members_are_equal_before_training_and_differ_after(series, model) -> None:
    inputs = inputs_of(model.config, windows(series, history=1, starts=[0, 0, 0], steps=1))
    noise = np.random.default_rng(2).standard_normal((3, 4)).astype(np.float32)
    silent = predict_step(*split(model), inputs, noise)
    assert np.array_equal(silent.mean, predict_step(*split(model), inputs).mean)

    kernel = model.unet.fusion.noise.kernel
    kernel[...] = jnp.ones_like(kernel[...])
    members = np.asarray(predict_step(*split(model), inputs, noise).mean, np.float64)
    assert not np.allclose(members[0], members[1])
    held = series.energy[0].astype(np.float64).sum()
    assert np.abs(members.sum(axis=(1, 2, 3)) - held).max() <= 1e-5 * held
    assert members.min() >= 0


def test_noise_is_not_negative() -> None:
    with pytest.raises(FieldError, match="noise"):
        NVPConfig(noise=-1)
