"""Scores against numbers worked out by hand, and the traps that each of them sets."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.thermo.bootstrap import blocks_of_series, pooled_interval
from nvp.thermo.conservation import first_law_residual
from nvp.thermo.scores import (
    PairErrors,
    concatenate,
    fidelity_score,
    field_fidelity,
    pair_errors,
    total_energy_fidelity,
    vrmse,
)
from nvp.thermo.violations import negative, second_law_violated

RNG = np.random.default_rng(0)


def fields(*rows: list[float]) -> np.ndarray:
    """Fields of one row of cells."""
    return np.array(rows, np.float32)[:, None, :, None]


def test_fidelity_by_hand() -> None:
    origin, truth = fields([0, 0], [0, 0]), fields([3, 4], [0, 1])
    predicted = fields([3, 1], [0, 1])
    pairs = pair_errors(predicted, truth, origin)
    np.testing.assert_allclose(pairs.fidelity, [1 - 3 / 5, 1])
    score = fidelity_score(pairs, blocks=np.arange(2))
    assert score.mean == pytest.approx(0.7)
    assert score.median == pytest.approx(0.7)
    assert score.pooled == pytest.approx(1 - np.sqrt(9 / 26))
    assert (score.n, score.static) == (2, 0)


def test_persistence_scores_zero_exactly_and_nothing_is_clamped() -> None:
    origin, truth = RNG.random((5, 8, 8, 1), np.float32), RNG.random((5, 8, 8, 1), np.float32)
    blocks = np.arange(5)
    zero = fidelity_score(pair_errors(origin, truth, origin), blocks=blocks)
    assert (zero.mean, zero.median, zero.pooled, zero.ci95) == (0, 0, 0, (0, 0))
    worse = fidelity_score(pair_errors(3 * origin, truth, origin), blocks=blocks)
    assert worse.pooled < -1
    assert fidelity_score(pair_errors(truth, truth, origin), blocks=blocks).pooled == 1


def test_static_pairs_are_counted_and_left_out() -> None:
    origin, truth = fields([1, 1], [1, 2]), fields([1, 1], [2, 2])
    score = fidelity_score(pair_errors(fields([1, 1.5], [2, 2]), truth, origin), blocks=np.arange(2))
    assert (score.n, score.static, score.mean) == (1, 1, 1)
    # the headline still pays for what was imagined where nothing moved
    assert score.pooled == pytest.approx(0.5)
    nothing = fidelity_score(pair_errors(origin[:1], truth[:1], origin[:1]), blocks=np.arange(1)).to_json()
    assert nothing == {"mean": None, "median": None, "pooled": None, "n": 0, "static": 1, "ci95": [None, None]}


def test_a_pair_is_static_where_single_precision_sees_no_change() -> None:
    origin = fields([300, 300])
    truth = np.concatenate([origin * np.float32(1 + 2e-7), origin * np.float32(1 + 1e-5)])
    assert pair_errors(truth, truth, np.concatenate([origin, origin])).static.tolist() == [True, False]


def test_vrmse_golden_values() -> None:
    # The Well: sqrt(mean((p − y)²) / (var(y, unbiased) + 1e-7)), worked out in exact arithmetic
    truth, predicted = fields([1, 2, 3, 4]), fields([1, 2, 3, 6])
    assert vrmse(predicted, truth)[0, 0] == pytest.approx(np.sqrt(1 / (5 / 3 + 1e-7)), rel=1e-12)
    # eps is not relative: a nearly uniform field is damped
    flat = fields([1, 1, 1, 1])
    assert vrmse(flat + np.float32(0.5), flat)[0, 0] == pytest.approx(0.5 / np.sqrt(1e-7), rel=1e-6)
    mean = np.full_like(truth, truth.mean())
    assert vrmse(mean, truth)[0, 0] == pytest.approx(np.sqrt(3 / 4), rel=1e-6)


def test_looser_scores_reward_what_the_headline_does_not() -> None:
    truth = RNG.random((3, 8, 8, 1), np.float32) + 1
    shuffled = RNG.permuted(truth.reshape(3, -1), axis=1).reshape(truth.shape)
    assert total_energy_fidelity(shuffled, truth).min() > 0.999999
    assert field_fidelity(truth * np.float32(0.9), truth) == pytest.approx(np.full(3, 0.9), rel=1e-5)
    assert total_energy_fidelity(fields([1, 2]), fields([1, 3]))[0] == pytest.approx(0.75)


def test_parts_combine() -> None:
    parts = [PairErrors(*RNG.random((3, 4))) for _ in range(2)]
    whole = concatenate(parts)
    assert whole.error.tolist() == [*parts[0].error, *parts[1].error]
    assert fidelity_score(whole, blocks=np.arange(8)).n == 8


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    truth = 1 - np.sqrt(0.25)
    covered = 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        change = rng.gamma(5, 1, 30)
        # what a block shares dwarfs what its pairs add
        error = np.repeat(0.25 * rng.gamma(5, 1, 30) / 5, 4) * 5
        low, high = pooled_interval(error, np.repeat(change, 4), blocks=np.repeat(np.arange(30), 4), key=trial)
        covered += low <= truth <= high
    assert 175 <= covered <= 199


def test_interval_is_as_wide_as_theory_says() -> None:
    error, change = np.random.default_rng(0).gamma(4, 0.25, 4000), np.ones(4000)
    low, high = pooled_interval(error, change, blocks=np.arange(4000))
    # 1 − sqrt(mean): its standard error is half that of the mean
    spread = 0.5 * error.std() / np.sqrt(error.mean() * 4000)
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.08)


def test_interval_draws_blocks_and_is_reproducible() -> None:
    error, change = RNG.random(200), np.ones(200)
    fine = pooled_interval(error, change, blocks=np.arange(200), key=1)
    assert fine == pooled_interval(error, change, blocks=np.arange(200), key=1)
    coarse = pooled_interval(np.sort(error), change, blocks=np.arange(200) // 20, key=1)
    assert coarse[1] - coarse[0] > 2 * (fine[1] - fine[0])
    assert np.isnan(pooled_interval(error, change, blocks=np.zeros(200, int))).all()


def test_blocks_are_sequences_days_or_tenths() -> None:
    starts = np.arange(48)
    common = {"length": 50, "starts": starts}
    assert set(blocks_of_series(series=3, of=5, valid_time=None, **common)) == {3}
    assert len(set(blocks_of_series(series=0, of=1, valid_time=None, **common))) == 10
    hours = np.datetime64("2019-03-01T12") + np.arange(50) * np.timedelta64(1, "h")
    days = blocks_of_series(series=0, of=1, valid_time=hours, **common)
    assert [int((days == day).sum()) for day in np.unique(days)] == [12, 24, 12]
    assert not set(days) & set(blocks_of_series(series=1, of=2, valid_time=hours, **common))


def test_first_law_counts_source_and_outflow() -> None:
    before, after = fields([1, 3], [2, 2]), fields([2, 4], [1, 1])
    np.testing.assert_allclose(first_law_residual(after, before), [0.5, -0.5])
    np.testing.assert_allclose(
        first_law_residual(after, before, source=np.array([2.0, 0]), outflow=np.array([0.0, 2])), [0, 0]
    )


def test_second_law_sees_sharpening_and_negative_cells() -> None:
    flat, peaked = fields([1, 1, 1, 1]), fields([0, 0, 1, 3])
    assert second_law_violated(np.concatenate([peaked, flat]), np.concatenate([flat, peaked])).tolist() == [True, False]
    assert not second_law_violated(flat, flat).any()
    assert negative(fields([1, -1e-9], [0, 1])).tolist() == [True, False]
    assert second_law_violated(fields([2, 2, 2, -2]), peaked).all()
