"""Windows stay within their part, and augmentation is a symmetry of the equations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.model.config import config_for
from nvp.training.config import TrainingConfig
from nvp.training.data import Examples, TrainingData, symmetry, unbroken
from nvp.training.recipes import suited
from nvp.training.splits import by_sequence, by_time
from tests.nvp.fields import fluid_series, temperature_series


def test_windows_never_cross_series_or_gaps_in_time() -> None:
    series = temperature_series()
    assert unbroken(series, 3) == list(range(2, len(series) - 1))
    times = series.valid_time
    assert times is not None
    broken = replace(series, valid_time=np.where(np.arange(len(series)) < 10, times, times + np.timedelta64(7200, "s")))
    # the gap lies between 9 and 10: no window has both of them
    assert unbroken(broken, 3) == [t for t in range(2, len(series) - 1) if not t - 2 <= 9 < t + 1]
    config = config_for(domain(series.domain), series)
    examples = Examples(config, [series.part(0, 10), series.part(10, 30)])
    assert [tuple(row) for row in examples.index] == [(0, t) for t in range(2, 9)] + [(1, t) for t in range(2, 19)]


def test_a_batch_is_history_and_the_next_frame() -> None:
    series = temperature_series()
    examples = Examples(config_for(domain(series.domain), series), [series])
    inputs, truth = examples.batch(np.array([0, 5]))
    assert np.array_equal(inputs.history[1], series.energy[5:8])
    assert np.array_equal(truth[1], series.energy[8])
    assert np.allclose(inputs.clock[:, 0], [2 / 24, 7 / 24])


def test_a_network_is_not_told_what_no_prediction_avoids() -> None:
    series = replace(fluid_series(), parameters={"irreducible": 3.0, "viscosity": 0.1})
    assert config_for(domain(series.domain), series).parameters == ("viscosity",)


def test_epochs_are_drawn_by_seed_and_number() -> None:
    examples = Examples(config_for(domain("fluid_dynamics"), fluid_series()), [fluid_series(), fluid_series(seed=1)])

    def first(epoch: int, seed: int) -> np.ndarray:
        batch = next(examples.epoch(epoch, batch=4, rng_seed=seed, augment=True))
        return np.asarray(batch.inputs.history)

    assert np.array_equal(first(0, 0), first(0, 0))
    assert not np.array_equal(first(0, 0), first(1, 0))
    assert not np.array_equal(first(0, 0), first(0, 1))


def test_augmented_fields_move_as_their_velocity_says() -> None:
    series = fluid_series(scale=16)
    config = config_for(domain(series.domain), series)
    wind = series.context["velocity"][0, 0, 0]
    assert np.abs(wind).sum() > 0
    inputs, truth = Examples(config, [series]).batch(np.arange(2))
    winds = set()
    for seed in range(24):
        moved, next_frame = symmetry(config, inputs, truth, np.random.default_rng(seed))
        u = moved.context[0, 0, 0]
        winds.add(tuple(u))
        shifted = np.roll(moved.history[:, -1], (int(u[1]), int(u[0])), (1, 2))
        assert np.array_equal(shifted, next_frame), seed
    assert len(winds) > 2


def test_every_vector_turns_with_the_field_and_scalars_do_not() -> None:
    series = fluid_series(scale=16)
    slope = np.stack(
        [(np.roll(series.energy[..., 0], -1, axis) - np.roll(series.energy[..., 0], 1, axis)) / 2 for axis in (2, 1)],
        axis=-1,
    ).astype(np.float32)
    series = replace(series, context={"copy": series.energy, "slope": slope})
    config = config_for(domain(series.domain), series)
    inputs, truth = Examples(config, [series]).batch(np.arange(2))
    for seed in range(12):
        moved, _ = symmetry(config, inputs, truth, np.random.default_rng(seed))
        field = moved.history[:, -1, ..., 0]
        assert np.array_equal(moved.context[..., 0], field)
        for channel, axis in ((1, 2), (2, 1)):
            expected = (np.roll(field, -1, axis) - np.roll(field, 1, axis)) / 2
            np.testing.assert_allclose(moved.context[..., channel], expected, atol=1e-6)


def test_a_split_in_time_leaves_gaps() -> None:
    train, validation, test = by_time(504, gap=24)
    assert (train.first, train.last) == (0, 277)
    assert (validation.first, validation.last) == (302, 377)
    assert (test.first, test.last) == (403, 503)
    assert test.first - validation.last > 24
    assert validation.first - train.last > 24
    with pytest.raises(FieldError, match="room for three parts"):
        by_time(60, gap=24)


def test_a_split_by_sequence_uses_each_once() -> None:
    parts = by_sequence([30] * 16, rng_seed=3)
    assert [part.sequence for part in parts] == list(range(16))
    assert [sum(part.role == role for part in parts) for role in ("train", "validation", "test")] == [12, 2, 2]
    assert by_sequence([30] * 16, rng_seed=3) == parts
    assert by_sequence([30] * 16, rng_seed=4) != parts
    assert {part.role for part in by_sequence([9, 9, 9])} == {"train", "validation", "test"}
    with pytest.raises(FieldError, match="at least 3"):
        by_sequence([30, 30])


def test_what_cannot_be_trained_on_is_refused() -> None:
    fluid = fluid_series()
    config = config_for(domain(fluid.domain), fluid)
    with pytest.raises(FieldError, match="one grid"):
        Examples(config, [fluid, fluid_series(scale=32)])
    with pytest.raises(FieldError, match="consecutive frames"):
        Examples(config, [fluid.part(0, 1)])
    with pytest.raises(FieldError, match="parts to train"):
        TrainingData(train=[fluid], validation=[])
    with pytest.raises(FieldError, match="epochs > 0"):
        TrainingConfig(epochs=0)


def test_open_choices_are_made_for_the_kind_of_field() -> None:
    fluid, temperature = fluid_series(), temperature_series()
    free = suited(TrainingConfig(), config_for(domain(fluid.domain), fluid))
    site = suited(TrainingConfig(batch=2), config_for(domain(temperature.domain), temperature))
    assert None not in (free.epochs, free.learning_rate, free.history)
    assert (free.history, site.history, site.batch) == (1, 3, 2)
    assert (free.dropout or 0) < (site.dropout or 0)
    assert TrainingConfig.from_json(site.to_json()) == site
