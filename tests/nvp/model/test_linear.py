"""The linear path is the closed-form solution, in the fit and in the network, and there is none in other networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Float

from nvp.atlas.series import Series
from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.model import linear
from nvp.model.config import NVPConfig, config_for
from nvp.model.inputs import Inputs
from nvp.model.linear import Constants, fit_linear, linear_change, rows_of, stride_for, weights_of
from nvp.model.nvp import NVP
from nvp.model.statistics import Statistics, fit_statistics
from nvp.prediction.forecaster import load_forecaster, windows
from nvp.training.checkpoint import write_model
from nvp.training.data import Examples
from nvp.training.linear import solve
from nvp.training.step import split

DAYS = 5


def weather(*, days: int = DAYS, channels: int = 1) -> Series:
    """Anomalies that drift to the right and fade, over a daily cycle."""
    rng = np.random.default_rng(3)
    hours = np.arange(24 * days)
    anomaly, frames = np.zeros((8, 16, channels)), []
    for _ in hours:
        anomaly = 0.9 * np.roll(anomaly, 1, axis=1) + rng.standard_normal(anomaly.shape)
        frames.append(anomaly)
    cycle = 3 * np.sin(2 * np.pi * hours / 24)[:, None, None, None]
    return Series(
        energy=(280 + np.stack(frames) + cycle).astype(np.float32),
        dt=3600.0,
        valid_time=np.datetime64("2019-03-01T00", "s") + 3600 * hours,
        domain="surface_temperature",
    )


SERIES = weather()
CONFIG = replace(config_for(domain(SERIES.domain), SERIES, history=2), widths=(4, 4, 4), latent=4)


def constants_of(statistics: Statistics) -> Constants:
    return Constants(*(getattr(statistics, name) for name in Constants._fields))


def change_of(statistics: Statistics, weights: Float[np.ndarray, "f 1"], inputs: Inputs) -> Float[np.ndarray, "b h w"]:
    given = jax.tree.map(jnp.asarray, (constants_of(statistics), weights, inputs))
    return np.asarray(jax.jit(linear_change, static_argnums=0)(CONFIG, *given))[..., 0]


def rows_and_cells(statistics: Statistics, inputs: Inputs) -> Float[np.ndarray, "b h w f"]:
    constants = constants_of(statistics)
    one = jax.tree.map(lambda leaf: leaf[..., 0] if leaf.ndim else leaf, constants)
    return np.asarray(rows_of(CONFIG, *jax.tree.map(jnp.asarray, (one, inputs, inputs.history[..., 0]))))


@pytest.fixture(scope="module")
def examples() -> Examples:
    return Examples(CONFIG, [SERIES], seen=True)


@pytest.fixture(scope="module")
def solved(examples: Examples) -> Statistics:
    return solve(CONFIG, fit_statistics(CONFIG, [SERIES]), examples)


@pytest.fixture(scope="module")
def equations(examples: Examples, solved: Statistics) -> tuple[Float[np.ndarray, "n f"], Float[np.ndarray, "n"]]:
    """All rows and what they should say."""
    inputs, truth = examples.batch(np.arange(len(examples)))
    rows = rows_and_cells(solved, inputs)
    change = (truth - inputs.history[:, -1]) / solved.deviation
    return rows.astype(np.float64).reshape(-1, rows.shape[-1]), change.astype(np.float64).ravel()


def test_weights_are_the_penalised_least_squares_of_all_rows(
    solved: Statistics,
    equations: tuple[Float[np.ndarray, "n f"], Float[np.ndarray, "n"]],
    examples: Examples,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows, change = equations
    monkeypatch.setattr(linear, "PENALTIES", (0.03,))
    weights = fit_linear(CONFIG, constants_of(solved), [examples.batch(np.arange(len(examples)))])[:, 0]
    size = np.sqrt(np.maximum((rows**2).mean(axis=0), 1e-12))
    expected = linear._expected(CONFIG)
    # min |y - Xw|² + 0.03 n |w · size / expected|², by orthogonal factors instead of normal equations
    penalty = np.diag(np.sqrt(0.03 * len(rows)) * size / expected)
    found, *_ = np.linalg.lstsq(np.vstack([rows, penalty]), np.concatenate([change, np.zeros(len(size))]))
    np.testing.assert_allclose(rows @ weights, rows @ found, atol=2e-4)
    assert np.std(rows @ found) > 0.1


def test_penalty_is_the_one_that_says_most_of_blocks_of_days_left_out(
    solved: Statistics, equations: tuple[Float[np.ndarray, "n f"], Float[np.ndarray, "n"]], examples: Examples
) -> None:
    rows, change = equations
    inputs, _ = examples.batch(np.arange(len(examples)))
    cells = len(rows) // len(examples)
    blocks = [np.isin(inputs.apart, part).repeat(cells) for part in np.array_split(np.arange(1, DAYS + 1), 4)]
    size = np.sqrt(np.maximum((rows**2).mean(axis=0), 1e-12))
    scaled = rows * (linear._expected(CONFIG) / size)

    def left(penalty: float) -> float:
        error = 0.0
        for block in blocks:
            x, y = scaled[~block], change[~block]
            weights = np.linalg.solve(x.T @ x + penalty * len(y) * np.eye(x.shape[1]), x.T @ y)
            error += ((scaled[block] @ weights - change[block]) ** 2).sum()
        return error

    best = min(linear.PENALTIES, key=left)
    weights = np.linalg.solve(scaled.T @ scaled + best * len(change) * np.eye(scaled.shape[1]), scaled.T @ change)
    np.testing.assert_allclose(rows @ solved.linear[:, 0], scaled @ weights, atol=2e-3)
    assert best not in (linear.PENALTIES[0], linear.PENALTIES[-1])


def test_the_path_is_the_rows_times_the_weights(
    solved: Statistics, equations: tuple[Float[np.ndarray, "n f"], Float[np.ndarray, "n"]], examples: Examples
) -> None:
    numbers = np.array([3, 40, 77])
    inputs, _ = examples.batch(numbers)
    rows = equations[0].reshape(len(examples), *inputs.history.shape[2:4], -1)[numbers]
    weights = np.random.default_rng(1).standard_normal((weights_of(CONFIG), 1)).astype(np.float32)
    change = change_of(solved, weights, inputs)
    assert rows.shape[-1] == weights_of(CONFIG)
    np.testing.assert_allclose(change, rows @ weights[:, 0] * solved.deviation, rtol=1e-3, atol=1e-2)


def test_untrained_a_network_says_what_its_linear_path_says_and_keeps_it(
    examples: Examples, solved: Statistics, tmp_path: Path
) -> None:
    network = NVP(CONFIG, solved, rng=np.random.default_rng(0))
    _, params, constants = split(network)
    write_model(tmp_path / "checkpoint", CONFIG, params, constants, {})
    window = windows(SERIES, history=2, starts=[50, 60, 70], steps=1)
    said = load_forecaster(tmp_path / "checkpoint").forecast(window, 1).mean[:, 0]
    seen = Examples(CONFIG, [SERIES]).batch(np.array([49, 59, 69]))[0]
    change = change_of(solved, solved.linear, seen)
    np.testing.assert_allclose(said[..., 0], window.history[:, -1, ..., 0] + change, atol=2e-4)
    assert np.abs(change).mean() > 0.1


def test_an_example_is_told_the_climate_of_the_other_days(examples: Examples, solved: Statistics) -> None:
    own, _ = examples.batch(np.array([50, 60, 100]))
    assert own.apart.tolist() == [3, 3, 5]
    told, all_days = (
        change_of(solved, solved.linear, inputs) for inputs in (own, own._replace(apart=np.zeros(3, np.int32)))
    )
    assert np.abs(told - all_days).max() > 0.01


def test_each_channel_has_a_path_of_its_own() -> None:
    series = weather(days=3, channels=2)
    config = replace(config_for(domain(series.domain), series, history=1), widths=(4, 4, 4), latent=4)
    both = solve(config, fit_statistics(config, [series]), Examples(config, [series], seen=True)).linear
    single = replace(series, energy=series.energy[..., 1:])
    alone = replace(config, channels=1)
    one = solve(alone, fit_statistics(alone, [single]), Examples(alone, [single], seen=True)).linear
    np.testing.assert_allclose(both[:, 1:], one, atol=1e-4)


def test_other_networks_have_none() -> None:
    series = replace(SERIES, valid_time=None)
    config = config_for(domain(series.domain), series)
    statistics = fit_statistics(config, [series])
    assert not config.linear
    assert statistics.linear.size == 0
    assert solve(config, statistics, Examples(config, [series], seen=True)) is statistics
    with pytest.raises(FieldError, match="linear path"):
        NVPConfig(linear=True)


def test_fits_are_spread_over_no_more_cells_than_they_need() -> None:
    assert stride_for(275, 32 * 48) == 2
    assert stride_for(10, 64) == 1
