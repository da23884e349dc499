"""The climate of one site: what each of its cells is like on average, and how it changes at each hour of the day.

A few days tell both poorly, and an average that contains the day in hand tells part of that day's truth. So the climate
is fitted several times, once to all days and once without each group of consecutive days. A network in training is
told the climate without the group that the example is from (the jackknife), so that the climate is worth to it what it
will be worth on days never seen; a prediction uses all days.

With c_h = Σ_d ΔE / (n_h + 4), the mean change over the step that begins at hour h, shrunk by four days without any, the
daily cycle is the running sum of c_h − mean(c), itself without mean, and the normal the mean of E less that cycle.

References: Quenouille, Notes on bias in estimation, Biometrika 43 (1956); James & Stein (1961), on shrinkage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import numpy as np
from jaxtyping import Float, Float32, Int, Int32, Shaped

from nvp.atlas.series import Series

HOURS = 24
# groups of days that are left out in turn, at most
GROUPS = 14
# days of no mean change that the mean change by hour is shrunk with
_PRIOR_DAYS = 4.0
_SECONDS_OF_HOUR = 3600
_SECONDS_OF_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate:
    """Of all days (first along `g`), and of the days without group 1, 2, …"""

    # mean of each cell, its daily cycle apart
    normal: Float32[np.ndarray, "g h w c"]
    # mean change of each cell over the step that begins at each hour
    change: Float32[np.ndarray, "g hours h w c"]


def fit_climate(series: Sequence[Series]) -> Climate:
    """Climate of the training part; every series has calendar time."""
    groups = groups_of(series)
    frames = np.concatenate([part.energy.astype(np.float64) for part in series])
    hours = np.concatenate([hour_of(_times(part)) for part in series])
    changes = np.concatenate([np.diff(part.energy.astype(np.float64), axis=0) for part in series])
    at = np.concatenate([hour_of(_times(part)[:-1]) for part in series])
    of_frame = np.concatenate(groups)
    # a change belongs to the day on which it begins
    of_change = np.concatenate([group[:-1] for group in groups])
    normal, change = [], []
    for group in range(of_frame.max() + 1):
        # group 0 is none: all days
        kept, known = (of != group if group else np.full(of.shape, True) for of in (of_frame, of_change))
        mean = _by_hour(changes[known], at[known])
        cycle = daily_cycle(mean, axis=0, dt=np.float64(series[0].dt))
        normal.append((frames[kept] - cycle[hours[kept]]).mean(axis=0))
        change.append(mean)
    return Climate(normal=np.stack(normal).astype(np.float32), change=np.stack(change).astype(np.float32))


def groups_of(series: Sequence[Series]) -> list[Int32[np.ndarray, "_t"]]:
    """Group of consecutive days, 1 …, that each frame belongs to; all days are of one group where there is but one."""
    days = [_times(part).astype("datetime64[s]").astype(np.int64) // _SECONDS_OF_DAY for part in series]
    seen = np.unique(np.concatenate(days))
    groups = min(len(seen), GROUPS)
    if groups < 2:
        # nothing is left without that group: nothing is left out
        return [np.zeros(len(day), np.int32) for day in days]
    return [(1 + np.searchsorted(seen, day) * groups // len(seen)).astype(np.int32) for day in days]


A = TypeVar("A", np.ndarray, jax.Array)


def daily_cycle(change: A, *, axis: int, dt: Any) -> A:
    """Deviation of each hour from the day's mean, out of the mean changes by hour (along `axis`) of steps of `dt` s."""
    steps = change - change.mean(axis=axis, keepdims=True)
    level = steps.cumsum(axis=axis) - steps
    # an hour's change is that of all steps within it
    cycle: A = (level - level.mean(axis=axis, keepdims=True)) * (_SECONDS_OF_HOUR / dt).clip(1.0)
    return cycle


def hour_of(valid_time: Shaped[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """Hour of the day, 0 … 23, rounded down."""
    return (valid_time.astype("datetime64[s]").astype(np.int64) // _SECONDS_OF_HOUR % HOURS).astype(np.int32)


def _by_hour(changes: Float[np.ndarray, "n h w c"], hours: Int[np.ndarray, "n"]) -> Float[np.ndarray, "hours h w c"]:
    sums = np.zeros((HOURS, *changes.shape[1:]))
    np.add.at(sums, hours, changes)
    known = np.bincount(hours, minlength=HOURS)[:, None, None, None]
    mean: Float[np.ndarray, "hours h w c"] = sums / (known + _PRIOR_DAYS)
    return mean


def _times(part: Series) -> Shaped[np.ndarray, "t"]:
    assert part.valid_time is not None  # a network of one site is one with a calendar
    return part.valid_time
