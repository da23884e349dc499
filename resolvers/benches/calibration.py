"""Does the predictor know how sure it may be? Sequences whose noise nobody is told, and criteria that see where not.

Cases: perturbed sequences of the five domains, whose noise is withheld while angle, shift and factor of each step are
given, as the velocity and the source that they amount to; and `fluid_dynamics` simulated, its velocity withheld. Each
domain keeps its own pattern, noise, blur and rotation; shifts and factors are switched on, so that there are draws to
give and so that the noise, which goes with the mean, differs from step to step. The radiative layer has no noise of its
own and gets the generator's.

The mutant says the same mean with one variance for all cells, the best one for the validation part. Its coverage and
spread–skill are as good as they can be on the whole: what it cannot have is each of them where the network is sure and
where it is not, hence `by_variance`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Float32

from nvp.atlas.series import Series
from nvp.dynamics.config import configure
from nvp.dynamics.perturbed import Step, as_series, generate
from nvp.dynamics.perturbed_config import DOMAIN_PARAMETERS, PerturbedConfig, configure_perturbed
from nvp.dynamics.simulators import simulator
from nvp.errors import FieldError
from nvp.prediction.forecaster import Forecaster, truth, windows
from nvp.prediction.recalibration import recalibrate
from nvp.prediction.rollout import load
from nvp.thermo.probabilistic import Calibration, CalibrationTally
from nvp.training.config import TrainingConfig
from nvp.training.data import TrainingData
from nvp.training.events import EpochDone, Finished, Progress
from nvp.training.trainer import train
from resolvers.benches.suites import Report, SuiteConfig

# the case without perturbations
HIDDEN = "fluid_dynamics_hidden_velocity"
CASES = (*DOMAIN_PARAMETERS, HIDDEN)

COVERAGE = (0.85, 0.95)
SPREAD_SKILL = (0.9, 1.1)
# the same within each fifth of the cells by variance
SPREAD_SKILL_BY_VARIANCE = (0.8, 1.25)

_DRAWS: Mapping[str, Any] = {"translation": True, "energy_scaling": True, "scale_range": [0.8, 1.25]}
_NOISE: Mapping[str, Any] = {"gaussian_noise": True, "noise_sigma": 0.1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes of one case."""

    train: int = 24
    validation: int = 4
    test: int = 8
    steps: int = 20
    # CPU-minutes of training
    minutes: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Sequences of one case by role."""

    train: Sequence[Series]
    validation: Sequence[Series]
    test: Sequence[Series]


def run(config: SuiteConfig, progress: Report) -> dict[str, Any]:
    """Every case: train, recalibrate on the validation part, score the held-out sequences and the mutant."""
    cases = config.domains or CASES
    if unknown := sorted(set(cases) - set(CASES)):
        raise FieldError(
            "BAD_CASE",
            f"expected cases out of {', '.join(CASES)}, got {', '.join(unknown)}.",
            next_step="Leave it out.",
        )
    plan = Plan(train=4, validation=2, test=2, steps=6, minutes=0.1) if config.quick else Plan()
    plan = replace(plan, minutes=config.minutes or plan.minutes)
    domains = {}
    for case in cases:
        found = [measure(case, plan, config, seed, progress) for seed in config.seeds]
        domains[case] = {**found[0], "seeds": list(config.seeds), "per_seed": found[1:]}
        domains[case]["passed"] = all(one["passed"] for one in found)
    return {"suite": "calibration", "domains": domains, "passed": all(one["passed"] for one in domains.values())}


def measure(case: str, plan: Plan, config: SuiteConfig, seed: int, progress: Report) -> dict[str, Any]:
    """One case with one seed."""
    label = f"{case} {seed}"
    progress(label, 0.0, "making sequences")
    parts = sequences(case, plan, scale=config.scale, seed=seed)
    training = TrainingConfig(cpu_seconds=60 * plan.minutes, epochs=10_000, rng_seed=seed, validation_windows=64)
    with tempfile.TemporaryDirectory() as place:
        directory = (config.keep or Path(place)) / f"calibration-{case}-{seed}"
        path, spent = fit(
            training, TrainingData(train=parts.train, validation=parts.validation), directory, label, progress
        )
        forecaster = load(path)
    progress(label, 0.97, "scoring")
    raw = forecaster.log_scale
    forecaster = recalibrate(forecaster, parts.validation)
    found = score(forecaster, parts)
    return {
        "training": {**spent, "size": training.size, "cpu_seconds": training.cpu_seconds},
        "recalibration": {"before": list(raw), "log_scale": list(forecaster.log_scale)},
        **found,
    }


def fit(
    training: TrainingConfig, data: TrainingData, directory: Path, label: str, progress: Report
) -> tuple[Path, dict[str, Any]]:
    """Train; the checkpoint's directory and what it took."""
    path, epochs, step, fidelity = directory, 0, 0, 0.0
    for event in train(training, data, directory=directory):
        match event:
            case Progress():
                progress(label, 0.95 * event.fraction, f"loss {event.loss:.3f}")
            case EpochDone():
                epochs, step = event.epoch, event.step
            case Finished():
                path, fidelity = event.path, event.val_fidelity
    return path, {"epochs": epochs, "steps": step, "val_fidelity": fidelity}


# -- data --------------------------------------------------------------------------------------------------------------


def sequences(case: str, plan: Plan, *, scale: int, seed: int) -> Parts:
    """Sequences of a case, each with its own draws and initial state."""
    count = plan.train + plan.validation + plan.test
    if case == HIDDEN:
        settings = configure("fluid_dynamics", {"scale": scale, "steps": plan.steps})
        made = simulator("fluid_dynamics")(settings, jax.random.key(seed), sequences=count)
        made = [hidden(one) for one in made]
    else:
        config = settings_of(case, scale=scale, steps=plan.steps)
        made = [told(config, *generate(config, seed, number)) for number in range(count)]
    return Parts(
        train=made[: plan.train],
        validation=made[plan.train : plan.train + plan.validation],
        test=made[plan.train + plan.validation :],
    )


def hidden(series: Series) -> Series:
    """The sequence without its velocity, and without what was drawn for its flow."""
    return replace(series, context={}, parameters={})


def settings_of(case: str, *, scale: int, steps: int) -> PerturbedConfig:
    """The domain's own perturbations, with shifts, factors and noise switched on."""
    noise = {} if DOMAIN_PARAMETERS[case][1].gaussian_noise else _NOISE
    return configure_perturbed(case, {"scale": scale, "steps": steps, **_DRAWS, **noise})


def told(config: PerturbedConfig, frames: Float[np.ndarray, "t h w"], steps: Sequence[Step]) -> Series:
    """The sequence with what was drawn for its steps as velocity (turn, shift) and source (factor); not the noise."""
    series = as_series(config, frames, steps)
    velocity = np.stack([rigid(config.shape, step.drawn) for step in steps]) / config.dt
    return replace(
        series,
        context={"source": series.context["source"], "velocity": velocity.astype(np.float32)},
        # noise and blur are the same in all sequences of a case
        parameters={},
    )


def rigid(shape: tuple[int, int], drawn: Mapping[str, int | float]) -> Float[np.ndarray, "h w 2"]:
    """The steady velocity (x, y) that turns the map about its centre and then shifts it, within a unit of time.

    Turn R and shift s together turn about c' = c + (I − R)⁻¹ s: u = θ J (x − c'), where θ J (I − R)⁻¹ tends to −I as
    θ tends to 0.
    """
    h, w = shape
    theta = np.deg2rad(drawn.get("angle_deg", 0.0))
    shift = np.array([drawn.get("shift_x", 0.0), drawn.get("shift_y", 0.0)])
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    if abs(theta) > 1e-9:
        turn = np.cos(theta) * np.eye(2) + np.sin(theta) * quarter
        drift = -theta * quarter @ np.linalg.solve(np.eye(2) - turn, shift)
    else:
        drift = shift
    y, x = np.mgrid[0:h, 0:w]
    from_centre = np.stack([x - (w - 1) / 2, y - (h - 1) / 2], axis=-1)
    velocity: Float[np.ndarray, "h w 2"] = theta * from_centre @ quarter.T + drift
    return velocity


# -- scores ------------------------------------------------------------------------------------------------------------


def score(forecaster: Forecaster, parts: Parts) -> dict[str, Any]:
    """Held-out figures of the forecaster, of its mutant, of persistence and of the climatology; criteria of both."""
    usual = climatology(parts.train)
    constant = np.float64(np.log(mean_square_error(forecaster, parts.validation)))
    # persistence, as sure as its errors in training allow
    unchanged = np.log(np.mean([np.mean(np.diff(one.energy.astype(np.float64), axis=0) ** 2) for one in parts.train]))
    ours, mutant, persistence = CalibrationTally(), CalibrationTally(), CalibrationTally()
    dirac = []
    for block, one in enumerate(parts.test):
        mean, log_var, true, state = said(forecaster, one)
        ours.add(mean, log_var, true, climatology=usual, block=block)
        mutant.add(mean, np.full_like(log_var, constant), true, climatology=usual, block=block, by=log_var)
        persistence.add(state, np.full_like(log_var, unchanged), true, block=block)
        dirac.append(np.abs(state.astype(np.float64) - true).mean())
    rivals = {"persistence": float(np.mean(dirac)), "persistence_with_variance": persistence.result().crps}
    of_ours, of_mutant = ours.result(), mutant.result()
    mine, its = criteria(of_ours, rivals), criteria(of_mutant, rivals)
    return {
        "calibration": of_ours.to_json(),
        "crps": {"ours": of_ours.crps, **rivals, "climatology": of_ours.climatology_crps, "mutant": of_mutant.crps},
        "criteria": mine,
        "mutant": {"calibration": of_mutant.to_json(), "criteria": its},
        "n": {"sequences": len(parts.test), "pairs": sum(len(one) - forecaster.history for one in parts.test)},
        "passed": all(mine.values()) and not all(its.values()),
    }


def criteria(found: Calibration, rivals: Mapping[str, float]) -> dict[str, bool]:
    """What a forecast that knows how sure it may be meets."""
    low, high = SPREAD_SKILL_BY_VARIANCE
    return {
        "coverage90": COVERAGE[0] <= found.coverage90 <= COVERAGE[1],
        "spread_skill": SPREAD_SKILL[0] <= found.spread_skill <= SPREAD_SKILL[1],
        "sharper_than_climatology": found.sharpness < found.climatology_sharpness,
        "crps_below_persistence": all(found.crps < crps for crps in rivals.values()),
        "spread_skill_by_variance": all(low <= group.spread_skill <= high for group in found.by_variance),
    }


def said(
    forecaster: Forecaster, series: Series
) -> tuple[
    Float32[np.ndarray, "n h w c"],
    Float32[np.ndarray, "n h w c"],
    Float32[np.ndarray, "n h w c"],
    Float32[np.ndarray, "n h w c"],
]:
    """Mean and log-variance one step ahead of every frame that can be a start; the truth, and the state before."""
    starts = np.arange(forecaster.history - 1, len(series) - 1)
    window = windows(series, history=forecaster.history, starts=starts, steps=1)
    forecast = forecaster.forecast(window, 1)
    return (
        forecast.mean[:, 0],
        forecast.log_var[:, 0],
        truth(series, starts=starts, steps=1)[:, 0],
        window.history[:, -1],
    )


def mean_square_error(forecaster: Forecaster, series: Sequence[Series]) -> float:
    """Of the mean one step ahead."""
    errors = []
    for one in series:
        mean, _, true, _ = said(forecaster, one)
        errors.append(np.mean((mean.astype(np.float64) - true) ** 2))
    return float(np.mean(errors))


def climatology(series: Sequence[Series]) -> tuple[Float[np.ndarray, "1"], Float[np.ndarray, "1"]]:
    """Mean and log-variance of all cells of the training part: what is said of a cell by who sees no state."""
    cells = np.concatenate([one.energy.astype(np.float64).reshape(-1) for one in series])
    return np.array([cells.mean()]), np.array([np.log(cells.var())])
