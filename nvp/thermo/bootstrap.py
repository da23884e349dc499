"""Bootstrap intervals over blocks: sequences of simulated data, days of real data.

Pairs that follow each other resemble each other, so that whole blocks are drawn, with replacement, never single pairs.
Percentile intervals: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Shaped

RESAMPLES = 2000
# contiguous blocks of a single series without calendar time
BLOCKS = 10


def pooled_interval(
    error: Float[np.ndarray, "n"], change: Float[np.ndarray, "n"], *, blocks: Int[np.ndarray, "n"], key: int = 0
) -> tuple[float, float]:
    """95 % interval of 1 − sqrt(Σ error/Σ change), drawing whole blocks; NaN where there are fewer than two."""
    names, block = np.unique(blocks, return_inverse=True)
    count = len(names)
    if count < 2:
        return float("nan"), float("nan")
    errors, changes = np.bincount(block, error, count), np.bincount(block, change, count)
    drawn = np.random.default_rng(key).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    below = drawn @ changes
    moving = below > 0
    if not moving.any():
        return float("nan"), float("nan")
    low, high = np.quantile(1 - np.sqrt((drawn @ errors)[moving] / below[moving]), [0.025, 0.975])
    return float(low), float(high)


def blocks_of_series(
    *, series: int, of: int, length: int, starts: Int[np.ndarray, "n"], valid_time: Shaped[np.ndarray, "t"] | None
) -> Int[np.ndarray, "n"]:
    """Block of each start in series number `series` out of `of`, whose length is `length` frames.

    Real data: calendar days. Else the series itself, or tenths of it where it is the only one.
    """
    if valid_time is not None:
        days = valid_time[starts].astype("datetime64[D]").astype(np.int64)
        # days of different series are different blocks: 2²⁰ days are 2870 years
        return np.asarray(series * 2**20 + days, np.int64)
    if of > 1:
        return np.full(len(starts), series, np.int64)
    return np.asarray(starts * BLOCKS // max(length, 1), np.int64)
