"""Members keep their own paths and the law, ensembles tell what no model knows from what these do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.model.config import config_for
from nvp.model.inputs import Inputs
from nvp.model.nvp import NVP, Prediction
from nvp.model.statistics import fit_statistics
from nvp.prediction.forecaster import Window, windows
from nvp.prediction.recalibration import keep, recalibrate
from nvp.prediction.rollout import Ensemble, NetworkForecaster, Rollout, load
from nvp.training.checkpoint import write_model
from nvp.training.step import split
from tests.nvp.fields import fluid_series

SERIES = fluid_series(scale=16, frames=10)


@pytest.fixture(scope="module")
def model() -> NVP:
    """A network with noise and random weights, as wild as they come."""
    config = config_for(domain(SERIES.domain), SERIES)
    config = replace(config, widths=(8, 8, 8), latent=16, noise=4)
    model = NVP(config, fit_statistics(config, [SERIES]), rng=np.random.default_rng(0))
    rng = np.random.default_rng(1)
    kernels = [model.unet.decoder.leave.kernel, model.unet.fusion.noise.kernel]
    for kernel in [*kernels, *(film.dense.kernel for film in model.unet.decoder.film)]:
        kernel[...] = jnp.asarray(0.3 * rng.standard_normal(kernel.shape), jnp.float32)
    return model


@pytest.fixture(scope="module")
def window() -> Window:
    return windows(SERIES, history=1, starts=[0, 3, 4], steps=4)


@pytest.fixture(scope="module")
def noisy(model: NVP) -> NetworkForecaster:
    return NetworkForecaster(model.config, *split(model), members=4)


def conserves(states: np.ndarray, history: np.ndarray) -> bool:
    """The total of every state is that of the start, whose axis is the first."""
    held = history[:, -1].sum(axis=(1, 2, 3), dtype=np.float64)
    found = states.sum(axis=(-3, -2, -1), dtype=np.float64)
    return bool((np.abs(found - held.reshape(-1, *[1] * (found.ndim - 1))) <= 1e-5 * held.max()).all())


def test_members_differ_and_each_keeps_the_law(noisy: NetworkForecaster, window: Window) -> None:
    said = noisy.forecast(window, 4)
    assert said.members is not None
    assert said.members.shape == (3, 4, 4, 16, 16, 1)
    assert not np.allclose(said.members[:, 0], said.members[:, 1])
    assert min(said.members.min(), said.mean.min()) >= 0
    assert conserves(said.members, window.history)
    assert conserves(said.mean, window.history)
    np.testing.assert_allclose(said.mean, said.members.mean(axis=1), rtol=1e-5, atol=1e-6)
    assert said.epistemic is None
    # later leads say the spread of the paths
    spread = said.members[:, :, 2].var(axis=1, ddof=1, dtype=np.float64)
    np.testing.assert_allclose(np.exp(said.log_var[:, 2].astype(np.float64)), spread, rtol=1e-4, atol=1e-30)
    # the same call says the same
    assert np.array_equal(noisy.forecast(window, 4).mean, said.mean)


class Walk(Rollout):
    """Adds to the field, everywhere the same, what a member draws."""

    def step(self, batch: Inputs, rng: np.random.Generator) -> Prediction:
        b = len(batch.dt)
        jump = rng.standard_normal((b, 1, 1, 1)).astype(np.float32) if self.members else 0
        state = jnp.asarray(batch.history[:, -1] + jump)
        return Prediction(state, jnp.zeros_like(state), jnp.zeros(b))


def test_a_members_path_goes_on_from_its_own_state(model: NVP, window: Window) -> None:
    said = Walk(model.config, members=64).forecast(window, 4)
    assert said.members is not None
    steps = np.diff(said.members[..., 0, 0, 0], axis=2)
    # a random walk: steps of one path are new draws, the variance grows by one each step
    assert steps.std() == pytest.approx(1, abs=0.1)
    assert abs(np.corrcoef(steps[:, :, 0].reshape(-1), steps[:, :, 1].reshape(-1))[0, 1]) < 0.2
    assert np.exp(said.log_var[:, :, 0, 0, 0]).mean(axis=0) == pytest.approx([1, 2, 3, 4], rel=0.3)
    # one path: the variances of its steps are added
    assert np.exp(Walk(model.config).forecast(window, 4).log_var[0, :, 0, 0, 0]) == pytest.approx([1, 2, 3, 4])


def test_one_path_has_no_members_and_padding_changes_nothing(model: NVP, window: Window) -> None:
    said = NetworkForecaster(model.config, *split(model), members=0).forecast(window, 2)
    assert said.members is None
    fewer = windows(SERIES, history=1, starts=[3, 4], steps=4)
    alone = NetworkForecaster(model.config, *split(model), members=0).forecast(fewer, 2)
    np.testing.assert_allclose(alone.mean, said.mean[1:], rtol=1e-4, atol=1e-5)


def test_ensembles_tell_epistemic_from_aleatoric(model: NVP, window: Window) -> None:
    graph, params, constants = split(model)
    other = jax.tree.map(lambda leaf: 0.5 * leaf, params)
    members = [NetworkForecaster(model.config, graph, values, constants, members=0) for values in (params, other)]
    apart = [member.forecast(window, 2) for member in members]
    said = Ensemble(members).forecast(window, 2)
    assert said.epistemic is not None
    assert said.members is not None
    aleatoric = np.mean([np.exp(one.log_var.astype(np.float64)) for one in apart], axis=0)
    means = np.var([one.mean.astype(np.float64) for one in apart], axis=0, ddof=1)
    assert means.max() > 0
    np.testing.assert_allclose(np.exp(said.epistemic), np.maximum(means, 1e-36), rtol=1e-3)
    np.testing.assert_allclose(np.exp(said.log_var.astype(np.float64)), aleatoric + means, rtol=1e-3)
    assert np.array_equal(said.members[:, 1], apart[1].mean)
    assert conserves(said.mean, window.history)
    assert said.mean.min() >= 0
    # equal checkpoints know of no difference
    alike = Ensemble([members[0], members[0]]).forecast(window, 2)
    assert alike.epistemic is not None
    assert np.exp(alike.epistemic.astype(np.float64)).max() < 1e-30
    np.testing.assert_allclose(alike.log_var, apart[0].log_var, rtol=1e-4, atol=1e-4)


def test_an_ensemble_of_noisy_checkpoints_has_the_members_of_all(noisy: NetworkForecaster, window: Window) -> None:
    said = Ensemble([noisy, noisy, noisy]).forecast(window, 1)
    assert said.members is not None
    assert said.members.shape[:2] == (3, 12)
    assert conserves(said.mean, window.history)


def test_recalibration_makes_errors_as_large_as_said(model: NVP, tmp_path: Path) -> None:
    graph, params, constants = split(model)
    raw = NetworkForecaster(model.config, graph, params, constants, members=0)
    part = SERIES.part(0, 6)
    fitted = recalibrate(raw, [part], leads=2)
    assert len(fitted.log_scale) == 2
    starts = np.arange(len(part) - 2)
    ahead = windows(part, history=1, starts=starts, steps=2)
    said, plain = fitted.forecast(ahead, 4), raw.forecast(ahead, 4)
    assert np.array_equal(said.mean, plain.mean)
    shift = (said.log_var - plain.log_var).astype(np.float64)
    # the last factor holds for all later leads
    assert shift[:, 0] == pytest.approx(np.full_like(shift[:, 0], fitted.log_scale[0]), abs=1e-3)
    assert shift[:, 3] == pytest.approx(np.full_like(shift[:, 3], fitted.log_scale[1]), abs=1e-3)
    error = said.mean[:, 0].astype(np.float64) - part.energy[1:-1]
    assert np.exp(said.log_var[:, 0].astype(np.float64)).sum() == pytest.approx((error**2).sum(), rel=1e-3)
    # and is kept with the checkpoint, whose digests still hold
    write_model(tmp_path / "best", model.config, params, constants, {})
    keep(tmp_path / "best", fitted.log_scale)
    assert load(tmp_path / "best").log_scale == fitted.log_scale
    with pytest.raises(FieldError, match="recalibrate"):
        recalibrate(raw, [SERIES.part(0, 2)], leads=2)


def test_members_need_noise_and_more_than_one(model: NVP) -> None:
    silent = replace(model.config, noise=0)
    with pytest.raises(FieldError, match="one thing only"):
        NetworkForecaster(silent, *split(model), members=4)
    with pytest.raises(FieldError, match="at least 2"):
        NetworkForecaster(model.config, *split(model), members=1)
