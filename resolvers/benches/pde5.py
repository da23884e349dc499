"""One step ahead in the five simulated domains, for sequences that no training saw, beside everything simpler.

Every domain has sequences with first states and parameters of their own; a network of size `small` is trained on most,
chosen on some and scored on the rest, and is given nothing later than time t: two frames of E and of its context. The
reference solvers are told the velocity of time t, a third one (`extrapolated_physics`) both frames of it. A second
network sees the field alone. Trainings have a budget of CPU time; what was simulated is kept and made once.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nvp.dynamics.domain import domain
from nvp.prediction.forecaster import Forcing, Forecast, Window
from nvp.training.config import TrainingConfig
from resolvers.benches.simulated import Parts, Recipe, history_only, simulated
from resolvers.benches.suites import Report, SuiteConfig

MINUTES = 15.0
# share of the budget for the network that sees the field alone
HISTORY_ONLY = 0.2
LEADS = 12
LEAST_FIDELITY, LEAST_COSINE = 0.90, 0.85
# more second-law violations than the data's own
MOST_EXTRA_VIOLATIONS = 0.01
MOST_CLOSURE = 1e-5
# frames of context and of E that the network is given, the latest at time t
FRAMES = 2

# Time from frame to frame where it is not the simulator's own. A stirred flow is pushed by a force that nobody is told:
# the longer the step, the less of its end can be known at its beginning. Fields still change (VRMSE of persistence
# above 0.2), and not in a straight line (fidelity of linear extrapolation below 0.5).
STEPS: Mapping[str, Mapping[str, float]] = {
    "active_matter": {"dt": 1.6},
    "astrophysics": {"dt": 1.0},
    "plasma_physics": {"dt": 1.25},
    "turbulent_radiative_layer": {"dt": 1.3},
}


def run(config: SuiteConfig, progress: Report) -> dict[str, Any]:
    """The figures of every domain, and whether all criteria are met."""
    from nvp.dynamics.config import CONFIGS

    names = config.domains or tuple(CONFIGS)
    domains: dict[str, Any] = {}
    with ExitStack() as stack:
        folder = config.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in names:
            found = [_domain(name, seed, config, folder, progress) for seed in config.seeds]
            domains[name] = found[0] if len(found) == 1 else {"seeds": dict(zip(config.seeds, found, strict=True))}
    judged = {name: criteria(found) for name, found in domains.items()}
    return {
        "suite": "pde5",
        "n": len(names),
        "seeds": list(config.seeds),
        "minutes": _minutes(config),
        "domains": domains,
        "criteria": judged,
        "passed": all(all(one.values()) for one in judged.values()),
    }


def recipe_of(name: str, config: SuiteConfig, seed: int) -> Recipe:
    """What is simulated of a domain."""
    settings = STEPS.get(name, {})
    if config.quick:
        return Recipe(domain=name, scale=config.scale, frames=16, counts=(4, 2, 2), seed=seed, settings=settings)
    return Recipe(domain=name, scale=config.scale, seed=seed, settings=settings)


def _domain(name: str, seed: int, config: SuiteConfig, folder: Path, progress: Report) -> dict[str, Any]:
    """Data, two trainings and their scores."""
    recipe = recipe_of(name, config, seed)
    parts = simulated(recipe, folder / "data", progress)
    minutes = _minutes(config)
    place = folder / name / str(seed)
    chosen = TrainingConfig(
        size="tiny" if config.quick else "small",
        rng_seed=seed,
        history=FRAMES,
        cpu_seconds=60 * minutes,
        epochs=10_000,  # the budget decides
    )
    path, train = _trained(name, chosen, parts, place / "told", progress)
    progress(name, 0.9, "scoring")
    scored = _scored(path, parts, config)
    # the field alone: neither flow nor source nor parameters
    alone = parts.map(history_only)
    shorter = replace(chosen, history=None, cpu_seconds=60 * HISTORY_ONLY * minutes)
    path, blind = _trained(name, shorter, alone, place / "history", progress)
    without = _scored(path, alone, config, horizon=1)
    progress(name, 1.0, "")
    return {
        "n": scored["fidelity"]["n"],
        "data": {
            "sequences": dict(zip(("train", "validation", "test"), recipe.counts, strict=True)),
            "frames": recipe.frames,
            "scale": recipe.scale,
            "dt": parts.test[0].dt,
            "given": {"frames": FRAMES, "context": sorted(parts.test[0].context)},
        },
        **scored,
        "extrapolated_physics": _extrapolated(parts),
        "history_only": {key: without[key] for key in ("fidelity", "vrmse", "gradient_cosine")} | {"train": blind},
        "train": train,
    }


def _trained(
    name: str, config: TrainingConfig, parts: Parts, place: Path, progress: Report
) -> tuple[Path, dict[str, Any]]:
    """Train, or go on where a training was stopped; the best checkpoint by validation, and what it took."""
    from nvp.training.data import TrainingData
    from nvp.training.events import Begun, EpochDone, Finished, Progress
    from nvp.training.trainer import train

    data = TrainingData(train=parts.train, validation=parts.validation)
    found: dict[str, Any] = {"cpu_seconds": config.cpu_seconds}
    path, batch = place, 1
    for event in train(config, data, directory=place):
        match event:
            case Begun():
                batch = event.config["training"]["batch"]
                found["parameters"] = event.parameters
            case Progress():
                progress(name, 0.85 * event.fraction, f"training, {event.samples_per_second:.0f} samples/s")
            case EpochDone():
                found |= {"steps": event.step, "samples": event.step * batch}
            case Finished():
                path = event.path
                found |= {"wall_seconds": event.seconds, "best_epoch": event.epoch, "val_fidelity": event.val_fidelity}
    return path, found


def _scored(path: Path, parts: Parts, config: SuiteConfig, horizon: int = LEADS) -> dict[str, Any]:
    """Scores on the sequences that no training saw."""
    from nvp.prediction.evaluation import evaluate
    from nvp.prediction.forecaster import load_forecaster

    found = evaluate(
        load_forecaster(path),
        parts.test,
        fit=parts.train,
        validation=parts.validation,
        horizon=horizon,
        rollouts=8 if config.quick else 64,
    ).to_json()
    metrics, spec = found["metrics"], domain(parts.test[0].domain)
    closure = found["conservation"]
    return {
        "fidelity": found["fidelity"],
        "baselines": found["baselines"],
        "known_physics_void": found["known_physics_void"],
        "vrmse": found["vrmse"],
        "persistence_vrmse": found["persistence_vrmse"],
        "linear_fidelity": found["linear_fidelity"],
        "gradient_cosine": metrics["gradient_cosine"]["model"],
        "change_gradient_cosine": metrics["change_gradient_cosine"]["model"],
        "persistence_gradient_cosine": metrics["gradient_cosine"]["persistence"],
        "second_law": None
        if found["second_law"] is None
        else {"model": found["second_law"]["violations"], "data": found["second_law"]["data_violations"]},
        "first_law_closure": None if closure is None else closure["residual"],
        "total_error": None if spec.closed else metrics["total_error"],
        "rollout": _rollout(found["rollout"]) if horizon > 1 else None,
    }


@dataclass(frozen=True, slots=True)
class Extrapolated:
    """The domain's own stepper told what the network is told: its velocity goes on to speed up to mid-step."""

    history: int = FRAMES

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        """The source stays that of t."""
        from nvp.prediction.baselines import KnownPhysics

        velocity = window.context["velocity"]
        middle = velocity[:, -1:] + 0.5 * (velocity[:, -1:] - velocity[:, -2:-1])
        context = {name: values[:, -1:] for name, values in window.context.items()} | {"velocity": middle}
        told = replace(window, history=window.history[:, -1:], context=context)
        return KnownPhysics(high_order=True).forecast(told, steps, forcing)


def _extrapolated(parts: Parts) -> dict[str, Any]:
    """Its score, on the pairs on which all others are scored."""
    from nvp.model.ridge import RidgeConfig
    from nvp.prediction.baselines import Persistence
    from nvp.prediction.evaluation import evaluate

    starts = range(max(FRAMES, RidgeConfig().history) - 1, len(parts.test[0]) - 1)
    found = evaluate(Extrapolated(), parts.test, rivals={"persistence": Persistence()}, starts=list(starts))
    return found.fidelity.to_json()


def _rollout(leads: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Skill by lead under both kinds of forcing; persistence's fidelity is 0 at each."""
    keys = ("lead", "vrmse", "persistence_vrmse")
    found: dict[str, list[dict[str, Any]]] = {}
    for one in leads:
        row = {key: one[key] for key in keys} | {"fidelity": one["fidelity"]["pooled"]}
        found.setdefault(one["forcing"], []).append(row)
    return found


def _minutes(config: SuiteConfig) -> float:
    if config.minutes is not None:
        return config.minutes
    return 0.05 if config.quick else MINUTES


def criteria(found: Mapping[str, Any]) -> dict[str, bool]:
    """What must hold, of the worst seed."""
    if "seeds" in found:
        each = [criteria(one) for one in found["seeds"].values()]
        return {name: all(one[name] for one in each) for name in each[0]}
    pooled, baselines = found["fidelity"]["pooled"], found["baselines"]
    rivals = [baselines["linear_extrapolation"], baselines["ridge"], baselines["known_physics"]["upwind"]]
    law, totals = found["second_law"], found["total_error"]
    linear = found["linear_fidelity"]
    return {
        "fidelity": pooled >= LEAST_FIDELITY,
        "above_rivals": not found["known_physics_void"] and all(pooled > _pooled(rival) for rival in rivals),
        "gradients": min(found["gradient_cosine"], found["change_gradient_cosine"]) > LEAST_COSINE,
        "second_law": law is None or law["model"] <= law["data"] + MOST_EXTRA_VIOLATIONS,
        "first_law": found["first_law_closure"] is not None and found["first_law_closure"] < MOST_CLOSURE,
        "totals": totals is None or totals["model"] < totals["persistence"],
        # the data are neither still nor straight
        "data_move": found["persistence_vrmse"] >= 0.2 and linear is not None and linear <= 0.5,
    }


def _pooled(score: Mapping[str, Any] | None) -> float:
    """A rival that does not apply cannot be beaten."""
    return math.inf if score is None else float(score["pooled"])
