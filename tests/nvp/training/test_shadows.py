"""Members trained together are those trained alone, and differ from each other in all but the recipe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from nvp.errors import FieldError
from nvp.prediction.forecaster import windows
from nvp.training import shadows
from nvp.training.config import LossConfig, TrainingConfig
from nvp.training.data import TrainingData
from nvp.training.shadows import ShadowConfig, Shadows, bootstrap, members_of, recipe_of, seeds_of, shadows_of, train
from nvp.training.step import learning_rate, train_step
from tests.nvp.fields import fluid_series
from tests.nvp.training.toy import Toy

STEPS = 7


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadows, "NVP", Toy)


def data() -> TrainingData:
    return TrainingData(train=[fluid_series(seed=seed) for seed in range(5)], validation=[fluid_series(seed=9)])


def config(seeds: tuple[int, ...] = (3, 4, 5)) -> ShadowConfig:
    return ShadowConfig(seeds=seeds, recipe=TrainingConfig(), steps=STEPS, batch=2)


@pytest.fixture(scope="module")
def together() -> Shadows:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shadows, "NVP", Toy)
        members = members_of(config(), data())
        *_, trained = train(config(), members, every=3)
        assert trained.step == STEPS
        assert trained.loss.shape == (3,)
        return shadows_of(config(), members, trained)


def test_a_member_is_what_it_is_alone(together: Shadows) -> None:
    members = members_of(config(), data())
    for at, (member, seed) in enumerate(zip(members, config().seeds, strict=True)):
        first = np.array(member.state.params.conv.kernel)
        state, batches = member.state, member.batches()
        for step in range(STEPS):
            rate = np.float32(learning_rate(member.training, step / STEPS))
            batch = next(batches)
            state, _ = train_step(member.goal, state, member.constants, batch, rate, np.uint32(seed))
        for alone, one in zip(jax.tree.leaves(state.ema), jax.tree.leaves(together.params), strict=True):
            np.testing.assert_allclose(one[at], alone, atol=1e-6)
        assert not np.allclose(state.ema.conv.kernel, first, atol=1e-4), "it has learnt"


def test_no_two_are_alike(together: Shadows) -> None:
    assert len(set(together.hashes)) == 3
    clones = members_of(config(seeds=(3, 3)), data())
    *_, trained = train(config(seeds=(3, 3)), clones)
    assert len(set(shadows_of(config(seeds=(3, 3)), clones, trained).hashes)) == 1
    drawn = [{id(one) for one in member.examples.series} for member in members_of(config(), data())]
    assert any(len(one) < 5 for one in drawn), "with replacement"
    assert len(set(seeds_of(5, rng_seed=0)) | set(seeds_of(5, rng_seed=1))) == 10


def test_they_speak_one_by_one_and_are_read_as_they_were_written(together: Shadows, tmp_path: Path) -> None:
    window = windows(fluid_series(seed=7), history=together.history, starts=[0, 1, 2, 3], steps=1)
    said = together.say(window)
    assert said.mean.shape == (3, 4, 16, 16, 1)
    assert np.ptp(said.mean, axis=0).max() > 0
    together.write(tmp_path / "members")
    again = Shadows.read(tmp_path / "members")
    assert (again.hashes, again.seeds, again.config) == (together.hashes, together.seeds, together.config)
    np.testing.assert_allclose(again.say(window).mean, said.mean, atol=1e-6)


def test_how_long_the_compiler_takes_does_not_change_what_is_learnt(
    together: Shadows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "BRIEF", STEPS - 1)
    members = members_of(config(), data())
    *_, trained = train(config(), members)
    longer = shadows_of(config(), members, trained)
    for one, other in zip(jax.tree.leaves(longer.params), jax.tree.leaves(together.params), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_record_is_seen_whole() -> None:
    times = np.datetime64("2019-03-25T00", "s") + 3600 * np.arange(8)
    record = [replace(fluid_series(seed=seed), valid_time=times) for seed in range(3)]
    assert bootstrap(record, 0) == record


def test_the_recipe_is_what_is_minimised_not_how_long() -> None:
    training = TrainingConfig(
        size="base", epochs=99, loss=LossConfig(gradient=0.5), augment=False, seconds=9.0
    ).to_json()
    made = recipe_of(training, history=2)
    assert (made.size, made.history, made.epochs, made.seconds) == ("tiny", 2, None, None)
    assert made.loss == LossConfig(gradient=0.5)
    assert recipe_of({}, history=None) == TrainingConfig()
    assert recipe_of(training, history=2, size="small").size == "small"


def test_members_are_of_the_size_that_is_asked_for() -> None:
    small = replace(config(), recipe=recipe_of({}, history=None, size="small"))
    plans = [members_of(one, data())[0].goal.plan for one in (config(), small)]
    assert [one.model.widths for one in plans] == [(16, 32, 32), (32, 64, 96)]
    # the more parameters, the less each moves
    assert members_of(small, data())[0].training.learning_rate == 1e-3


def test_one_is_no_ensemble_and_nonsense_is_not_followed(tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="2 seeds"):
        config(seeds=(1,))
    with pytest.raises(FieldError, match="complete checkpoint"):
        Shadows.read(tmp_path)
    endless = data()
    broken = [replace(one, energy=one.energy * np.float32(np.nan)) for one in endless.train]
    members = members_of(config(), endless)
    for member in members:
        member.examples.series = broken
    with pytest.raises(FieldError, match="finite losses"):
        list(train(replace(config(), steps=20), members))
