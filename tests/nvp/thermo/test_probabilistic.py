"""Scores of distributions: equal to their closed forms, and each of them sees the fault that it is for."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float

from nvp.thermo.probabilistic import Calibration, CalibrationTally, crps_ensemble, crps_gaussian

CELLS = 200_000


def drawn(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A forecast that knows its own, varying, variance, and a truth drawn from it."""
    rng = np.random.default_rng(seed)
    mean, deviation = rng.standard_normal(CELLS), np.exp(rng.uniform(-2, 1, CELLS))
    return mean, 2 * np.log(deviation), mean + deviation * rng.standard_normal(CELLS)


def calibration(mean: np.ndarray, log_var: np.ndarray, truth: np.ndarray, **more: np.ndarray) -> Calibration:
    tally = CalibrationTally()
    tally.add(mean, log_var, truth, **more)
    return tally.result()


def test_crps_of_a_gaussian_has_its_closed_form() -> None:
    at = np.array([0.0, 0.0, 3.0])
    log_var = np.array([0.0, 2 * np.log(2.0), -60.0])
    # at its own mean: σ(√2 − 1)/√π; without spread: the absolute error
    expected = [(np.sqrt(2) - 1) / np.sqrt(np.pi), 2 * (np.sqrt(2) - 1) / np.sqrt(np.pi), 3.0]
    assert crps_gaussian(np.zeros(3), log_var, at) == pytest.approx(expected, rel=1e-9)


def test_crps_of_a_gaussian_is_the_integral_of_its_definition() -> None:
    from scipy.stats import norm

    x = np.linspace(-30, 30, 600_001)
    below = norm.cdf(x, 0.3, 1.7)
    integral = np.trapezoid((below - (x >= 1.1)) ** 2, x)
    said = crps_gaussian(np.array([0.3]), np.array([2 * np.log(1.7)]), np.array([1.1]))
    assert said[0] == pytest.approx(integral, rel=1e-4)


@pytest.mark.parametrize("members", [2, 3, 8])
def test_fair_crps_does_not_depend_on_the_number_of_members(members: int) -> None:
    rng = np.random.default_rng(members)
    said, truth = rng.standard_normal((members, CELLS)), rng.standard_normal(CELLS)
    # X, X', y of one standard normal: E|X − y| − ½E|X − X'| = 1/√π
    fair = crps_ensemble(said, truth)
    assert fair.mean() == pytest.approx(1 / np.sqrt(np.pi), abs=4 * fair.std() / CELLS**0.5)
    biased = crps_ensemble(said, truth, fair=False)
    assert biased.mean() == pytest.approx((1 + 1 / members) / np.sqrt(np.pi), abs=0.01)


def test_crps_of_one_member_is_the_absolute_error() -> None:
    assert crps_ensemble(np.array([[1.0, -2.0]]), np.zeros(2)).tolist() == [1.0, 2.0]


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=6), st.floats(-50, 50))
def test_crps_of_an_ensemble_is_its_definition(said: list[float], truth: float) -> None:
    x = np.array(said)
    pairs = np.abs(x[:, None] - x[None]).sum() / 2 / len(x) / (len(x) - 1)
    expected = np.abs(x - truth).mean() - pairs
    assert crps_ensemble(x[:, None], np.array([truth]))[0] == pytest.approx(expected, abs=1e-9)


def test_fair_crps_has_a_gradient_in_jax_that_spreads_equal_members_apart() -> None:
    members = jnp.array([[0.9], [1.1]])
    gradient = jax.grad(lambda x: crps_ensemble(x, jnp.ones(1)).sum())(members)
    assert np.asarray(gradient)[:, 0] == pytest.approx([0.0, 0.0])  # fair: two members around the truth stay
    outside = jax.grad(lambda x: crps_ensemble(x, jnp.full(1, 5.0)).sum())(members)
    assert np.asarray(outside)[:, 0] == pytest.approx([0.0, -1.0])


def test_a_calibrated_forecast_is_called_calibrated() -> None:
    mean, log_var, truth = drawn()
    found = calibration(mean, log_var, truth)
    coverage = [found.coverage50, found.coverage68, found.coverage90, found.coverage95]
    assert coverage == pytest.approx([0.50, 0.68, 0.90, 0.95], abs=0.004)
    assert found.spread_skill == pytest.approx(1, abs=0.02)
    assert found.pit == pytest.approx([0.05] * 20, abs=0.003)
    assert found.pit_ks < 0.005
    assert found.rank_correlation > 0.4
    assert found.sharpness == pytest.approx(np.exp(0.5 * log_var).mean())
    # NLL of N(μ, σ²) under itself: mean of log σ + ½ log 2πe
    assert found.nll == pytest.approx((0.5 * log_var).mean() + 0.5 * np.log(2 * np.pi * np.e), abs=0.01)
    assert found.crps == pytest.approx(np.exp(0.5 * log_var).mean() / np.sqrt(np.pi), rel=0.01)
    assert len(found.by_variance) == 5
    assert [group.coverage90 for group in found.by_variance] == pytest.approx([0.9] * 5, abs=0.01)
    assert [group.spread_skill for group in found.by_variance] == pytest.approx([1.0] * 5, abs=0.03)
    assert sum(group.n for group in found.by_variance) == found.n == CELLS


@pytest.mark.parametrize(("factor", "sign"), [(0.5, -1), (2.0, 1)])
def test_too_sure_and_too_unsure_are_seen(factor: float, sign: int) -> None:
    mean, log_var, truth = drawn()
    right, found = calibration(mean, log_var, truth), calibration(mean, log_var + 2 * np.log(factor), truth)
    assert found.spread_skill == pytest.approx(factor * right.spread_skill)
    assert sign * (found.coverage90 - 0.9) > 0.05
    assert found.pit_ks > 0.05
    assert found.crps > right.crps
    assert found.nll > right.nll


def test_a_bias_is_seen_by_the_pit() -> None:
    mean, log_var, truth = drawn()
    found = calibration(mean + np.exp(0.5 * log_var), log_var, truth)
    assert found.pit[0] > 0.15
    assert found.pit[-1] < 0.01


def test_one_variance_for_all_cells_is_seen_by_variance_and_by_proper_scores_only() -> None:
    mean, log_var, truth = drawn()
    right = calibration(mean, log_var, truth)
    constant = np.full(CELLS, np.log(np.mean((mean - truth) ** 2)))
    found = calibration(mean, constant, truth, by=log_var)
    assert found.spread_skill == pytest.approx(1)
    assert (found.crps, found.nll) > (right.crps, right.nll)
    assert np.isnan(found.rank_correlation)
    coverage = [group.coverage90 for group in found.by_variance]
    assert coverage[0] > 0.99
    assert coverage[-1] < 0.8
    # of its own variance there is one group only
    assert len(calibration(mean, constant, truth).by_variance) == 1


@pytest.mark.parametrize("m", [2, 4])
def test_spread_of_few_members_is_multiplied_by_the_factor_of_a_finite_ensemble(m: int) -> None:
    rng = np.random.default_rng(m)
    mean, log_var, truth = drawn()
    deviation = np.exp(0.5 * log_var)
    members = mean + deviation * rng.standard_normal((m, CELLS))
    found = calibration(mean, log_var, truth, members=members).members
    assert found is not None
    assert found.spread_skill == pytest.approx(1, abs=0.02)
    assert np.array(found.ranks) / CELLS == pytest.approx([1 / (m + 1)] * (m + 1), abs=0.006)
    assert found.crps == pytest.approx(deviation.mean() / np.sqrt(np.pi), rel=0.01)


def test_blocks_are_what_intervals_are_made_of() -> None:
    mean, log_var, truth = drawn()
    tally = CalibrationTally()
    for block, part in enumerate(np.split(np.arange(CELLS), 10)):
        for half in np.split(part, 2):
            tally.add(mean[half], log_var[half] + 0.1 * block, truth[half], block=block)
    found = tally.result()
    assert found.blocks == 10
    low, high = found.ci95["coverage90"]
    assert low < found.coverage90 < high
    assert high - low > 0.01  # ten blocks that differ, not two hundred thousand cells
    # the order of the calls does not matter
    assert found.coverage90 == pytest.approx(
        calibration(mean, log_var + 0.1 * np.repeat(np.arange(10), 20_000), truth).coverage90
    )
    assert calibration(mean, log_var, truth).ci95 == {}


def test_climatology_is_scored_beside() -> None:
    mean, log_var, truth = drawn()
    usual: tuple[Float[np.ndarray, "1"], Float[np.ndarray, "1"]] = (
        np.full(1, truth.mean()),
        np.full(1, np.log(truth.var())),
    )
    tally = CalibrationTally()
    tally.add(mean, log_var, truth, climatology=usual)
    found = tally.result()
    assert found.climatology_sharpness == pytest.approx(truth.std())
    assert found.climatology_crps > found.crps
    assert found.sharpness < found.climatology_sharpness
    said = found.to_json()
    assert said["coverage90"] == found.coverage90
    assert said["members"] is None
    assert len(said["pit"]) == 20
