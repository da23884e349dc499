"""A network trained on to members says a distribution: fair CRPS below what any single forecast can reach."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from nvp.errors import FieldError
from nvp.model.nvp import Prediction
from nvp.prediction.forecaster import Forecast, load_forecaster, truth, windows
from nvp.prediction.rollout import NetworkForecaster
from nvp.thermo.probabilistic import CalibrationTally, MemberCalibration
from nvp.training.config import TrainingConfig
from nvp.training.crps import crps_loss
from nvp.training.data import TrainingData
from nvp.training.events import Finished
from nvp.training.stage_config import StageConfig
from nvp.training.stages import second_stage
from tests.nvp.coin import base, coin_series, pattern, untrained

SERIES = coin_series("normal", frames=200)
DATA = TrainingData(train=[SERIES], validation=[SERIES])
STARTS = np.arange(64)
# what several devices come to is another test's
ALONE = TrainingConfig(devices=1, tensorboard=False)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network without noise: it says persistence."""
    return untrained(tmp_path_factory.mktemp("network"), SERIES, {"step": 100, "epoch": 4, "val_fidelity": 0.25})


@pytest.fixture(scope="module")
def saved(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    stage = StageConfig(kind="members", members=2, noise=4, epochs=30, batch=8, learning_rate=4e-3)
    *_, saved = second_stage(stage, network, DATA, directory=tmp_path_factory.mktemp("members"), settings=ALONE).run()
    assert isinstance(saved, Finished)
    return saved


@pytest.fixture(scope="module")
def said(saved: Finished) -> Forecast:
    forecaster = load_forecaster(saved.path)
    assert isinstance(forecaster, NetworkForecaster)
    assert forecaster.members == 8
    return forecaster.forecast(windows(SERIES, history=1, starts=STARTS, steps=1), 1)


def test_the_checkpoint_counts_on(saved: Finished) -> None:
    assert (saved.epoch, saved.step) == (34, 100 + 30 * 24)
    # of the members' mean: persistence scores 0, the mean of the law 1 − 1/√2
    assert 0.15 < saved.val_fidelity < 0.4
    assert saved.path.name == f"best-{saved.step:08d}"


def test_members_say_the_distribution(said: Forecast) -> None:
    assert said.members is not None
    true = truth(SERIES, starts=STARTS, steps=1)
    tally = CalibrationTally()
    tally.add(said.mean, said.log_var, true, members=np.moveaxis(said.members, 1, 0))
    found = tally.result().members
    assert isinstance(found, MemberCalibration)
    # of a normal law: E|s| = 0.80 for who says its mean, E|s − s'|/2 = 0.56 for who says it all
    size = float(np.abs(pattern()).mean())
    assert found.crps < 0.70 * size
    assert 0.6 < found.spread_skill < 1.4
    assert np.abs(said.mean[:, 0, :, :, 0].mean(axis=0) - base()).max() < 0.1


def test_every_member_keeps_the_law(said: Forecast) -> None:
    assert said.members is not None
    held = SERIES.energy[STARTS].sum(axis=(1, 2, 3), dtype=np.float64)
    found = said.members[:, :, 0].sum(axis=(-3, -2, -1), dtype=np.float64)
    assert np.abs(found / held[:, None] - 1).max() < 1e-5
    assert said.members.min() >= 0


def test_the_loss_knows_what_the_mean_of_few_members_must_miss() -> None:
    rng = np.random.default_rng(0)
    m, b, cells = 2, 2, 64
    deviation = 0.5
    truth_ = deviation * rng.standard_normal((b, cells, cells, 1))
    means = deviation * rng.standard_normal((b * m, cells, cells, 1))

    def loss(log_var: float) -> float:
        said = Prediction(jnp.asarray(means, jnp.float32), jnp.full(means.shape, log_var), jnp.zeros(b * m))
        state = jnp.full(truth_.shape, 1.0)
        return float(crps_loss(said, state, jnp.asarray(truth_, jnp.float32), m=m).total)

    at = 2 * np.log(deviation) + np.linspace(-0.4, 0.4, 9)
    # least at the variance of the law, not at the error of the members' mean, which is (1 + 1/m) times that
    assert at[np.argmin([loss(value) for value in at])] == pytest.approx(2 * np.log(deviation), abs=0.11)


def test_settings_are_checked_and_kept() -> None:
    stage = StageConfig(kind="diffusion", cpu_seconds=3.0)
    config = TrainingConfig(stage=stage)
    assert TrainingConfig.from_json(config.to_json()) == config
    with pytest.raises(FieldError, match="2 … 4 members"):
        StageConfig(kind="members", members=5)
    with pytest.raises(FieldError, match="cpu_seconds > 0"):
        StageConfig(kind="members", cpu_seconds=0.0)
