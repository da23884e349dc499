"""The residual's distribution is learnt as a distribution of whole fields, and sampled with the law kept."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from nvp.model.config import NVPConfig
from nvp.model.denoiser import levels, realise
from nvp.model.nvp import Prediction
from nvp.prediction.forecaster import Forecast, load_forecaster, windows
from nvp.prediction.sampling import DiffusionForecaster, heun
from nvp.training.config import TrainingConfig
from nvp.training.data import TrainingData
from nvp.training.events import Finished
from nvp.training.stage_config import StageConfig
from nvp.training.stages import second_stage
from tests.nvp.coin import SIZE, base, coin_series, pattern, untrained

SERIES = coin_series()
DATA = TrainingData(train=[SERIES], validation=[SERIES])
# what several devices come to is another test's
ALONE = TrainingConfig(devices=1, tensorboard=False)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network: it says persistence, which is wrong by nothing or by twice the pattern."""
    return untrained(tmp_path_factory.mktemp("network"), SERIES, {"val_fidelity": 0.0})


def trained(network: Path, directory: Path, config: StageConfig) -> DiffusionForecaster:
    *_, saved = second_stage(config, network, DATA, directory=directory, settings=ALONE).run()
    assert isinstance(saved, Finished)
    forecaster = load_forecaster(saved.path)
    assert isinstance(forecaster, DiffusionForecaster)
    return forecaster


@pytest.fixture(scope="module")
def forecaster(network: Path, tmp_path_factory: pytest.TempPathFactory) -> DiffusionForecaster:
    config = StageConfig(kind="diffusion", epochs=36, batch=16, learning_rate=6e-3)
    return trained(network, tmp_path_factory.mktemp("diffusion"), config)


@pytest.fixture(scope="module")
def sampled(forecaster: DiffusionForecaster) -> Forecast:
    forecaster.members = 16
    return forecaster.forecast(windows(SERIES, history=1, starts=np.arange(40), steps=1), 1)


def test_samples_have_the_mean_and_the_variance_of_the_truth(sampled: Forecast) -> None:
    assert sampled.members is not None
    fields = sampled.members[:, :, 0, :, :, 0].reshape(-1, 8, 8).astype(np.float64)
    # persistence is half a pattern off either way, hence the mean is learnt, too
    assert np.abs(fields.mean(axis=0) - base()).max() < 0.35 * SIZE
    found, true = fields.std(axis=0), np.abs(pattern())
    assert found[:, true[0] > 0.1] == pytest.approx(np.broadcast_to(true[:, true[0] > 0.1], (8, 6)), rel=0.35)


def test_samples_are_whole_fields(sampled: Forecast) -> None:
    assert sampled.members is not None
    residual = sampled.members[:, :, 0, :, :, 0].reshape(-1, 64).astype(np.float64) - base().reshape(-1)
    along = residual @ pattern().reshape(-1) / (pattern() ** 2).sum()
    left = residual - along[:, None] * pattern().reshape(-1)
    # one number decides the field, and it is near −1 or 1: untrained it leaves 1.6, around 0
    assert (left**2).mean() < 0.9 * SIZE**2
    assert np.median(np.abs(along)) == pytest.approx(1, abs=0.25)
    assert np.mean(np.abs(along) < 0.5) < 0.25
    assert 0.25 < np.mean(along > 0) < 0.75


def test_samples_keep_the_law(sampled: Forecast) -> None:
    assert sampled.members is not None
    held = SERIES.energy[:40].sum(axis=(1, 2, 3), dtype=np.float64)
    found = sampled.members[:, :, 0].sum(axis=(-3, -2, -1), dtype=np.float64)
    assert np.abs(found / held[:, None] - 1).max() < 1e-5
    assert sampled.members.min() >= 0


def test_more_steps_go_on_from_their_own_sample_and_repeat(forecaster: DiffusionForecaster) -> None:
    forecaster.members = 4
    window = windows(SERIES, history=1, starts=[0, 1], steps=3)
    said = forecaster.forecast(window, 3)
    assert said.members is not None
    assert not np.allclose(said.members[:, 0], said.members[:, 1])
    assert np.array_equal(forecaster.forecast(window, 3).mean, said.mean)
    held = window.history[:, 0].sum(axis=(1, 2, 3), dtype=np.float64)
    assert np.abs(said.members.sum(axis=(-3, -2, -1), dtype=np.float64) / held[:, None, None] - 1).max() < 1e-5


def test_the_sampler_solves_the_equation_of_a_gaussian() -> None:
    rng = np.random.default_rng(0)
    s = 0.7
    through = s * levels(24)
    start = through[0] * rng.standard_normal((4, 32, 32, 1))
    # the best denoiser of N(0, s²) is linear, and its flow ends in s/√(l² + s²) of where it began
    end = heun(lambda x, level: s**2 / (s**2 + level**2) * x, start, through)
    assert end / start == pytest.approx(s / np.hypot(through[0], s), rel=0.05)
    assert end.std() == pytest.approx(s, rel=0.05)
    stirred = heun(lambda x, level: s**2 / (s**2 + level**2) * x, start, through, churn=4.0, rng=rng)
    assert stirred.std() == pytest.approx(s, rel=0.1)
    assert abs(np.corrcoef(stirred.reshape(-1), start.reshape(-1))[0, 1]) < 0.9


def test_hostile_residuals_become_lawful_states() -> None:
    rng = np.random.default_rng(1)
    mean = np.zeros((3, 16, 16, 1), np.float32)
    mean[0, 3, 3] = 1e4  # one-hot
    mean[1] = rng.exponential(size=(16, 16, 1))
    said = Prediction(jnp.asarray(mean), jnp.full(mean.shape, 4.0), jnp.zeros(3))
    state = np.asarray(
        realise(NVPConfig(), said, jnp.asarray(rng.standard_normal(mean.shape), jnp.float32)), np.float64
    )
    assert state.min() >= 0
    held = mean.sum(axis=(1, 2, 3), dtype=np.float64)
    assert np.abs(state.sum(axis=(1, 2, 3)) - held).max() <= 1e-5 * held.max()
    assert not np.allclose(state[1], mean[1])
