"""The suite's criteria hold for who knows the noise, and are red for who says one variance for all cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from nvp.atlas.series import Series
from nvp.dynamics.perturbed import apply_step, generate
from nvp.dynamics.perturbed_config import DOMAIN_PARAMETERS
from nvp.errors import FieldError
from nvp.prediction.forecaster import Forcing, Forecast, Window
from resolvers.benches.calibration import CASES, Parts, Plan, hidden, rigid, run, score, sequences, settings_of
from resolvers.benches.suites import SuiteConfig
from tests.nvp.fields import fluid_series

SIDE = 16


def doubt(state: np.ndarray) -> np.ndarray:
    """Deviation of the noise of these sequences: it goes with the energy that is there."""
    return 0.15 * state


def noisy(seed: int, *, frames: int = 60) -> Series:
    """A map that moves on by a cell in each step, and whose cells then drift as far as `doubt` says."""
    rng = np.random.default_rng(seed)
    energy = [np.exp(0.8 * rng.standard_normal((SIDE, SIDE, 1)))]
    for _ in range(frames - 1):
        moved = np.roll(energy[-1], 1, axis=1) ** 0.97
        energy.append(np.maximum(moved + doubt(moved) * rng.standard_normal(moved.shape), 1e-3))
    return Series(energy=np.stack(energy).astype(np.float32), dt=1.0, domain="fluid_dynamics")


@dataclass
class Knowing:
    """Knows the law of these sequences; `factor` on its deviation, or one variance for all cells."""

    factor: float = 1.0
    constant: bool = False
    history: int = 1

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        mean = np.roll(window.history[:, -1], 1, axis=2) ** np.float32(0.97)
        deviation = self.factor * doubt(mean)
        if self.constant:
            deviation = np.full_like(mean, np.sqrt(np.mean(deviation**2)))
        log_var = 2 * np.log(deviation)
        return Forecast(
            mean=mean[:, None],
            log_var=log_var[:, None].astype(np.float32),
            outflow=np.zeros((len(mean), 1), np.float32),
        )


@pytest.fixture(scope="module")
def parts() -> Parts:
    made = [noisy(seed) for seed in range(10)]
    return Parts(train=made[:4], validation=made[4:6], test=made[6:])


def test_who_knows_the_noise_passes_and_the_mutant_beside_does_not(parts: Parts) -> None:
    found = score(Knowing(), parts)
    assert found["passed"]
    assert all(found["criteria"].values())
    its = found["mutant"]["criteria"]
    assert not its["spread_skill_by_variance"]
    # on the whole one variance is as good as can be, by the very ratio that sees it in parts
    assert its["spread_skill"]
    assert found["crps"]["ours"] < found["crps"]["mutant"]
    assert found["calibration"]["nll"] < found["mutant"]["calibration"]["nll"]
    assert found["crps"]["ours"] < found["crps"]["persistence_with_variance"]
    assert found["n"] == {"sequences": 4, "pairs": 4 * 59}
    low, high = found["calibration"]["ci95"]["coverage90"]
    assert low < found["calibration"]["coverage90"] < high


@pytest.mark.parametrize(
    ("forecaster", "red"),
    [
        (Knowing(constant=True), set()),
        (Knowing(factor=0.6), {"coverage90", "spread_skill", "spread_skill_by_variance"}),
        (Knowing(factor=1.6), {"coverage90", "spread_skill", "spread_skill_by_variance"}),
        (Knowing(factor=40.0), {"coverage90", "sharper_than_climatology", "crps_below_persistence"}),
    ],
)
def test_who_does_not_know_it_fails(parts: Parts, forecaster: Knowing, red: set[str]) -> None:
    found = score(forecaster, parts)
    assert not found["passed"]
    assert red <= {name for name, met in found["criteria"].items() if not met}


def test_the_mutant_by_itself_is_red_by_the_variance_of_who_knows(parts: Parts) -> None:
    found = score(Knowing(), parts)["mutant"]["calibration"]
    groups = [group["spread_skill"] for group in found["by_variance"]]
    assert groups == sorted(groups, reverse=True)
    assert groups[0] > 2
    assert groups[-1] < 0.8


@pytest.mark.parametrize("case", sorted(DOMAIN_PARAMETERS))
def test_everything_drawn_is_told_but_the_noise(case: str) -> None:
    plan = Plan(train=1, validation=1, test=1, steps=4)
    parts = sequences(case, plan, scale=SIDE, seed=3)
    series = parts.train[0]
    assert set(series.context) == {"source", "velocity"}
    assert series.parameters == {}
    assert not np.array_equal(series.energy, parts.test[0].energy)
    config = settings_of(case, scale=SIDE, steps=4)
    frames, steps = generate(config, 3, 0)
    # the factor is told as the source that it amounts to: totals follow exactly
    source = series.context["source"].sum(axis=(1, 2, 3), dtype=np.float64) * series.dt
    assert frames[1:].sum(axis=(1, 2)) == pytest.approx(frames[:-1].sum(axis=(1, 2)) + source[:-1], rel=1e-5)
    # and what is left is noise: the same draws with other noise lead elsewhere
    other = apply_step(frames[0], config.perturbation, steps[0].drawn, replica=1).energy
    assert np.abs(other - frames[1]).max() > 1e-3


def test_a_rigid_motion_is_told_as_its_velocity() -> None:
    assert rigid((8, 8), {"shift_x": 3, "shift_y": -2})[5, 1].tolist() == [3, -2]
    # integrated over the unit of time it turns by the angle about the centre, and shifts
    drawn: dict[str, Any] = {"angle_deg": 40.0, "shift_x": 2, "shift_y": 1}
    field = rigid((9, 9), drawn)
    slope_x, slope_y = field[0, 1] - field[0, 0], field[1, 0] - field[0, 0]
    at, start = np.array([6.0, 3.0]), np.array([6.0, 3.0])
    for _ in range(4000):
        at = at + (field[0, 0] + slope_x * at[0] + slope_y * at[1]) / 4000
    theta = np.deg2rad(40.0)
    turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    assert at == pytest.approx(turn @ (start - 4) + 4 + [2, 1], abs=2e-3)


def test_the_hidden_velocity_is_not_told() -> None:
    left = hidden(fluid_series())
    assert fluid_series().context
    assert (left.context, left.parameters) == ({}, {})
    assert np.array_equal(left.energy, fluid_series().energy)


def test_unknown_cases_are_refused() -> None:
    assert len(CASES) == 6
    with pytest.raises(FieldError, match="hidden_velocity"):
        run(SuiteConfig(domains=("weather",)), lambda *_: None)
