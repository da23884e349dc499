"""Training of the literal layout: running statistics move, evaluation is of each state alone, dropout is by key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.model.literal_config import LiteralConfig
from nvp.prediction.forecaster import Window, load_forecaster, windows
from nvp.prediction.literal import LiteralForecaster
from nvp.training import checkpoint, literal
from nvp.training.api import Trainer, create_train_state, train_nvp
from nvp.training.config import TrainingConfig
from nvp.training.data import TrainingData
from nvp.training.events import EpochDone, Finished
from nvp.training.literal import LiteralGoal, first_literal_state, literal_batch, literal_predict, write_literal
from nvp.training.loss import Loss
from nvp.training.recipes import SEEDS_LOSS
from nvp.training.stage_config import StageConfig
from nvp.training.step import Descent, TrainState, train_step
from nvp.training.trainer import train
from tests.nvp.fields import fluid_series

SMALL = LiteralConfig(
    latent_dim=8, encoder_features=(2, 2, 2), decoder_features=(2, 2, 2), input_shape=(16, 8), dropout_rate=0.5
)
PERIODIC = ("periodic", "periodic")
RNG = np.random.default_rng(0)
BEFORE = RNG.lognormal(size=(4, 16, 8, 1)).astype(np.float32)
AFTER = np.roll(BEFORE, 1, axis=1)


DESCENT = Descent(clip=1.0, ema=0.0, beta2=0.999, weight_decay=0.0, largest_update=0.0)
GIVEN = literal_batch(BEFORE, AFTER)


def begin(layout: LiteralConfig = SMALL) -> tuple[LiteralGoal, TrainState]:
    graph, state = first_literal_state(np.random.default_rng(7), layout, DESCENT)
    return LiteralGoal(graph, DESCENT, SEEDS_LOSS, PERIODIC), state


def advanced(goal: LiteralGoal, state: TrainState, seed: int = 0) -> tuple[TrainState, Loss]:
    return train_step(goal, state, (), GIVEN, np.float32(1e-3), np.uint32(seed))


def copied(tree: object) -> object:
    return jax.tree.map(np.array, tree)


def test_running_statistics_change_in_training_and_evaluation_is_of_each_state_alone() -> None:
    goal, state = begin()
    before = copied(state.statistics)
    state, loss = advanced(goal, state)
    assert set(loss.terms) == {"mse", "conservation", "entropy"}
    assert float(loss.total) == pytest.approx(
        float(loss.terms["mse"] + 0.1 * loss.terms["conservation"] + 0.05 * loss.terms["entropy"]), rel=1e-6
    )
    moved = [not np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (before, state.statistics)), strict=True)]
    assert moved
    assert all(moved)

    kept = copied(state.statistics)
    together = literal_predict(goal.graph, state.params, state.statistics, BEFORE, boundaries=PERIODIC)
    alone = literal_predict(goal.graph, state.params, state.statistics, BEFORE[2:3], boundaries=PERIODIC)
    for of_all, of_one in zip(together, alone, strict=True):
        np.testing.assert_allclose(of_all[2:3], of_one, rtol=2e-5, atol=1e-6)
    for a, b in zip(*map(jax.tree.leaves, (kept, state.statistics)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_training_repeats_by_its_seed() -> None:
    def trained(seed: int) -> list[np.ndarray]:
        goal, state = begin()
        for _ in range(2):
            state, _ = advanced(goal, state, seed)
        return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]

    first, again, other = trained(1), trained(1), trained(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_checkpoint_says_the_same_as_the_network(tmp_path: Path) -> None:
    goal, state = begin()
    state, _ = advanced(goal, state)
    write_literal(tmp_path / "best", SMALL, (state.params, state.statistics), {})
    forecaster = load_forecaster(tmp_path / "best")
    window = Window(history=BEFORE[:, None], dt=1.0, domain=domain("fluid_dynamics"))
    forecast = forecaster.forecast(window, 2)
    mean, log_var = literal_predict(goal.graph, state.params, state.statistics, BEFORE, boundaries=PERIODIC)
    np.testing.assert_array_equal(forecast.mean[:, 0], mean)
    np.testing.assert_allclose(forecast.log_var[:, 0], log_var, rtol=1e-5)
    assert (forecast.log_var[:, 1] > forecast.log_var[:, 0]).all()
    other = Window(history=BEFORE[:, None, :8], dt=1.0, domain=domain("fluid_dynamics"))
    with pytest.raises(FieldError, match=r"expected fields of shape \(16, 8, 1\)"):
        forecaster.forecast(other, 1)


CONFIG = TrainingConfig(
    size="literal", recipe="seeds", epochs=3, batch=4, learning_rate=3e-3, tensorboard=False, devices=1
)
TRAIN, VAL = [fluid_series(seed=s) for s in range(2)], [fluid_series(seed=9)]


@pytest.fixture
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    def narrow(shape: tuple[int, int], *, dropout: float) -> LiteralConfig:
        return replace(SMALL, input_shape=shape, dropout_rate=dropout)

    monkeypatch.setattr(literal, "layout", narrow)


@pytest.mark.usefixtures("_narrow")
def test_it_is_trained_by_the_loop_of_all_and_resumed_bit_for_bit(tmp_path: Path) -> None:
    trained = train_nvp(CONFIG, TRAIN, VAL, epochs=3, directory=tmp_path / "whole")
    assert isinstance(trained.forecaster, LiteralForecaster)
    assert len(trained.history) == 3
    assert trained.history[-1].mse < trained.history[0].mse
    forecast = trained.forecaster.forecast(windows(VAL[0], history=1, starts=[0], steps=2), 2)
    assert np.isfinite(forecast.mean).all()
    data, often = TrainingData(train=TRAIN, validation=VAL), replace(CONFIG, checkpoint_seconds=1e-9)
    stopped = train(often, data, directory=tmp_path / "parts")
    for event in stopped:
        if isinstance(event, EpochDone) and event.epoch == 2:
            stopped.close()  # type: ignore[attr-defined]
            break
    *_, ended = train(often, data, directory=tmp_path / "parts")
    assert isinstance(ended, Finished)
    assert ended.sha256 == checkpoint.read(trained.path)[0]["sha256"]


@pytest.mark.usefixtures("_narrow")
def test_what_does_not_suit_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in ({"unroll": 2}, {"history": 2}, {"stage": StageConfig(kind="members")}):
        with pytest.raises(FieldError, match="one plain step"):
            Trainer(replace(CONFIG, **settings), TrainingData(train=TRAIN, validation=VAL), directory=tmp_path)
    hand = Trainer(CONFIG, TrainingData(train=TRAIN, validation=VAL), directory=tmp_path)
    with pytest.raises(FieldError, match="got the literal layout"):
        hand.prepare_batch(TRAIN[0], [0])
    monkeypatch.setattr(literal, "layout", lambda shape, dropout: LiteralConfig(input_shape=(256, 256)))
    monkeypatch.setattr(literal, "free_memory", lambda: 4 * 2**30)
    with pytest.raises(FieldError, match=r"expected 12.2 GiB for 546.3 M parameters, got 4.0 GiB\."):
        Trainer(CONFIG, TrainingData(train=TRAIN, validation=VAL), directory=tmp_path)


def test_a_state_without_data_is_that_of_its_grid() -> None:
    made = create_train_state(0, SMALL)
    assert made.constants == ()
    assert len(jax.tree.leaves(made.state.statistics)) > 4
    with pytest.raises(FieldError, match=r"expected the grid \(16, 8\)"):
        create_train_state(0, SMALL, input_shape=(64, 64))


def test_states_are_seen_in_units_of_their_mean() -> None:
    goal, state = begin()
    small, large = (
        literal_predict(goal.graph, state.params, state.statistics, scale * BEFORE, boundaries=PERIODIC)
        for scale in (np.float32(1), np.float32(8))
    )
    np.testing.assert_allclose(8 * small[0], large[0], rtol=1e-5)
    np.testing.assert_allclose(small[1] + 2 * np.log(8), large[1], rtol=1e-4)
