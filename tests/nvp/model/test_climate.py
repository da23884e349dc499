"""The climate is that of the days that may be known, and what a day itself brings does not enter its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvp.atlas.series import Series
from nvp.model.climate import GROUPS, HOURS, daily_cycle, fit_climate, groups_of

DAYS = 6


def cycling(*, days: int = DAYS, dt: float = 3600.0) -> Series:
    """A mean of 280, a cycle of its own in each cell, and noise."""
    rng = np.random.default_rng(0)
    per_day = round(86_400 / dt)
    at = np.arange(per_day * days + 1)
    wave = np.sin(2 * np.pi * at / per_day)[:, None, None, None] * np.linspace(1, 3, 8)[None, :, None, None]
    return Series(
        energy=(280 + wave + 0.1 * rng.standard_normal((len(at), 8, 8, 1))).astype(np.float32),
        dt=dt,
        valid_time=np.datetime64("2019-03-01T00", "s") + (dt * at).astype(int),
        domain="surface_temperature",
    )


def test_groups_are_whole_days_in_order_and_no_more_than_so_many() -> None:
    (few,), (many,) = groups_of([cycling()]), groups_of([cycling(days=40)])
    np.testing.assert_array_equal(few, 1 + np.arange(24 * DAYS + 1) // 24)
    assert many.max() == GROUPS
    assert (np.diff(many) >= 0).all()
    np.testing.assert_array_equal(many[:-1].reshape(40, 24).min(axis=1), many[:-1].reshape(40, 24).max(axis=1))


def test_where_there_is_but_one_day_nothing_is_left_out() -> None:
    series = cycling().part(0, 20)
    assert not groups_of([series])[0].any()
    assert len(fit_climate([series]).change) == 1


def test_what_a_day_brings_does_not_enter_the_climate_without_it() -> None:
    series = cycling()
    groups = groups_of([series])[0]
    other = series.energy.copy()
    # the days' last frames belong to their changes: the frame after the day does not, and stays
    other[groups == 3] += np.random.default_rng(1).normal(0, 5, other[groups == 3].shape).astype(np.float32)
    # nor may the change that leads into the day be judged by it
    other[np.flatnonzero(groups == 3)[0]] = series.energy[np.flatnonzero(groups == 3)[0]]
    before, after = fit_climate([series]), fit_climate([replace(series, energy=other)])
    np.testing.assert_array_equal(before.change[3], after.change[3])
    np.testing.assert_allclose(before.normal[3], after.normal[3], rtol=1e-6)
    for group in (0, 2):
        assert np.abs(before.change[group] - after.change[group]).max() > 0.1


@pytest.mark.parametrize("dt", [3600.0, 1800.0, 10_800.0])
def test_normal_and_cycle_together_are_the_mean_by_hour_whatever_the_time_step(dt: float) -> None:
    series = cycling(days=400, dt=dt)
    climate = fit_climate([series])
    per_hour = max(1.0, 3600 / dt)
    level = climate.normal[0] + daily_cycle(climate.change[0].astype(np.float64), axis=0, dt=np.float64(dt))
    step = max(1, round(dt / 3600))
    hours = np.arange(24) % HOURS
    seen = (np.arange(len(series)) * dt // 3600 % 24).astype(int)
    for hour in hours[::step]:
        # of several steps within an hour the first is meant: half of one further on
        expected = series.energy[seen == hour][:: round(per_hour)].mean(axis=0)
        np.testing.assert_allclose(level[hour], expected, atol=0.05 if dt >= 3600 else 0.25)
