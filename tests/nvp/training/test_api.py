"""The few calls for notebooks: the same loop, with its steps in reach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.model.config import NVPConfig
from nvp.model.nvp import parameter_count
from nvp.training import checkpoint, trainer
from nvp.training.api import Trainer, create_train_state, prepare_training_data, train_nvp
from nvp.training.config import TrainingConfig
from nvp.training.data import TrainingData
from nvp.training.events import EpochDone
from tests.nvp.fields import fluid_series, forced_series
from tests.nvp.training.toy import Toy

CONFIG = TrainingConfig(recipe="seeds", epochs=2, batch=4, learning_rate=3e-3, tensorboard=False, devices=1)
TRAIN, VAL = [fluid_series(seed=s) for s in range(3)], [fluid_series(seed=9)]


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "NVP", Toy)
    monkeypatch.setattr(checkpoint, "NVP", Toy)


def test_it_is_the_same_training(tmp_path: Path) -> None:
    trained = train_nvp(CONFIG, TRAIN, VAL, epochs=2, directory=tmp_path / "ours")
    data = TrainingData(train=TRAIN, validation=VAL)
    events = list(trainer.train(CONFIG, data, directory=tmp_path / "theirs"))
    theirs = [event.metrics for event in events if isinstance(event, EpochDone)]
    assert [m.fidelity for m in trained.history] == [m["fidelity"] for m in theirs]
    assert trained.path.parent == tmp_path / "ours"
    assert trained.forecaster.history == 1


def test_steps_by_hand_learn_and_leave_what_they_are_given(tmp_path: Path) -> None:
    hand = Trainer(CONFIG, TrainingData(train=TRAIN, validation=VAL), directory=tmp_path)
    given = hand.prepare_batch(TRAIN[0], [0, 2, 4, 6])
    assert np.array_equal(given.truth[1, 0], TRAIN[0].energy[3])
    before = hand.compute_loss(hand.state.params, given)[0]
    state = hand.state
    for _ in range(5):
        state, said = hand.train_step(state, given)
    assert said["loss"] < before
    assert set(said) == {"loss", "learning_rate", "mse", "conservation", "entropy"}
    assert hand.compute_loss(hand.state.params, given)[0] == before
    assert hand.val_step(state, given).mse < hand.val_step(hand.state, given).mse
    with pytest.raises(FieldError, match="frames 0 … 6 with 1 after them, got 7"):
        hand.prepare_batch(TRAIN[0], [7])


def test_a_checkpoint_brings_back_state_and_history_bit_for_bit(tmp_path: Path) -> None:
    hand = Trainer(CONFIG, directory=tmp_path)
    with pytest.raises(FieldError, match="expected data"):
        hand.save_checkpoint(0)
    hand.train(TRAIN, VAL)
    path = hand.save_checkpoint(2, final=True)
    other = Trainer(CONFIG, TrainingData(train=TRAIN, validation=VAL), directory=tmp_path / "other")
    assert other.load_checkpoint(path) == 2
    pairs = zip(jax.tree.leaves(other.state), jax.tree.leaves(hand.state), strict=True)
    assert all(np.array_equal(one, two) for one, two in pairs)
    assert [m.fidelity for m in other.history] == [m.fidelity for m in hand.history]
    assert len(hand.history) == 2
    assert hand.save_metrics().read_text().count('"entropy_coherence"') == 2
    (path / "config.json").write_text("{")
    with pytest.raises(FieldError, match="complete checkpoint"):
        other.load_checkpoint(path)


def test_what_was_superseded_is_removed_but_for_the_last(tmp_path: Path) -> None:
    config = replace(CONFIG, epochs=6, keep=1, checkpoint_seconds=1e-9)
    hand = Trainer(config, directory=tmp_path)
    scores = [metrics.fidelity for metrics in hand.train(TRAIN, VAL)]
    assert sum(score == max(scores[: at + 1]) for at, score in enumerate(scores)) > 2
    left = sorted(tmp_path.glob("best-*"))
    assert len(left) == 2
    assert left[-1] == hand.path


def test_sequences_as_arrays_and_pairs() -> None:
    made = prepare_training_data(TRAIN)
    assert made.energy.shape == (3, 8, 16, 16)
    assert made.gradients.shape == (3, 8, 16, 16, 2)
    assert made.pairs.shape == (3 * 7, 2)
    assert made.pairs[7].tolist() == [1, 0]
    slope = (np.roll(TRAIN[0].energy[2, ..., 0], -1, 1) - np.roll(TRAIN[0].energy[2, ..., 0], 1, 1)) / 2
    assert np.allclose(made.gradients[0, 2, ..., 0], slope / domain("fluid_dynamics").dx, atol=1e-6)
    with pytest.raises(FieldError, match="one shape"):
        prepare_training_data([*TRAIN, forced_series()])


def test_a_state_without_data() -> None:
    config = NVPConfig(context=(("velocity", 2),), parameters=("viscosity",), widths=(8, 8, 8), latent=8)
    made = create_train_state(0, config, input_shape=(64, 128))
    assert int(made.state.step) == 0
    assert made.learning_rate == 1e-4
    assert made.plan.model == config
    site = replace(config, calendar=True, site=(16, 24), head="delta")
    other = create_train_state(np.random.default_rng(0), site, input_shape=(16, 24))
    assert parameter_count(nnx.merge(other.graph, other.state.params, other.constants)) > 1000
    with pytest.raises(FieldError, match="divisible by 8"):
        create_train_state(0, config, input_shape=(63, 64))
