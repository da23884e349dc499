"""Two scenarios of APEBench: ours beside its networks, on the same data, for the same CPU time.

Each network is trained on all 20 trajectories and continues 10 others from their first frame. Scores are APEBench's
nRMSE: of one step, over all pairs, and the geometric mean over the steps of a rollout. Ours is trained by its own
machinery with the same settings in both scenarios, chosen on the last four training trajectories alone; it is told
nothing of the equations, and says itself what moves the field (`nvp/model/own_motion.py`).
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from nvp.errors import FieldError
from resolvers.benches.peers import PEERS, Advance, pdequinox, train_peer
from resolvers.benches.scenarios import SCENARIOS, ScenarioSize, Trajectories, read, series_of, simulate
from resolvers.benches.suites import Report

FIGURES = ("one_step_nrmse", "gmean")
# states per call when scores are computed
_TOGETHER = 50
# trajectories that choose the kept parameters among those of the training's epochs; they are trained on as well, so
# that ours sees no less and no more than the peers, which keep their last parameters
_WATCHED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ApebenchConfig:
    """What is trained on what."""

    seeds: tuple[int, ...] = (0,)
    scenarios: tuple[str, ...] = SCENARIOS
    peers: tuple[str, ...] = PEERS
    # CPU seconds of each training, compilation apart
    seconds: float = 300.0
    batch: int = 8
    size: ScenarioSize = field(default_factory=ScenarioSize)
    # APEBench's own data
    data: Path | None = None

    def __post_init__(self) -> None:
        for name, known, given in (("scenario", SCENARIOS, self.scenarios), ("peer", PEERS, self.peers)):
            if unknown := sorted(set(given) - set(known)):
                raise FieldError(
                    "BAD_CONFIG",
                    f"expected a {name} out of {', '.join(known)}, got {', '.join(unknown)}.",
                    next_step="Correct the name.",
                )
        if not 0 < self.seconds < math.inf:
            raise FieldError(
                "BAD_CONFIG", f"expected seconds > 0 and finite, got {self.seconds}.", next_step="Leave them out."
            )


def bench_apebench(config: ApebenchConfig, progress: Report) -> dict[str, Any]:
    """Scores of ours, each peer and persistence, by scenario; means over the seeds, which stand beside them."""
    pdequinox()
    results: dict[str, Any] = {}
    for name in config.scenarios:
        by_seed = [_scenario(config, name, seed, progress) for seed in config.seeds]
        results[name] = _mean_of(by_seed)
        results[name]["origin"] = by_seed[0]["origin"]
    return {
        "seeds": list(config.seeds),
        "n": {"test_trajectories": config.size.test, "one_step_pairs": config.size.test * config.size.steps},
        "seconds": config.seconds,
        "libraries": {package: version(package) for package in ("exponax", "pdequinox", "equinox", "optax")},
        "results": results,
        "ratio": {name: _ratios(found) for name, found in results.items()},
        "passed": all(ratio < 1 for found in results.values() for ratio in _ratios(found).values()),
    }


def _scenario(config: ApebenchConfig, name: str, seed: int, progress: Report) -> dict[str, Any]:
    progress(name, 0.0, f"seed {seed}: data")
    data = read(config.data, name) if config.data is not None else simulate(name, config.size, seed=seed)
    parts = 1 + len(config.peers)
    found: dict[str, Any] = {"origin": data.origin, "peers": {}}
    found["persistence"] = scores(lambda states: states, data)
    for number, peer in enumerate(("ours", *config.peers)):

        def told(share: float, line: str, peer: str = peer, number: int = number) -> None:
            progress(name, (number + share) / parts, f"seed {seed}: {peer}: {line}")

        if peer == "ours":
            found["ours"] = _ours(config, name, seed, data, told)
            continue
        trained = train_peer(
            peer, data.train, seed=seed, batch=config.batch, cpu_seconds=config.seconds, on_progress=told
        )
        found["peers"][peer] = {
            **scores(trained.advance, data),
            "cpu_seconds": round(trained.cpu_seconds, 1),
            "compile_seconds": round(trained.compile_seconds, 1),
            "parameters": trained.parameters,
            "steps": trained.steps,
        }
    progress(name, 1.0, f"seed {seed}")
    return found


def _ours(
    config: ApebenchConfig, name: str, seed: int, data: Trajectories, told: Callable[[float, str], None]
) -> dict[str, Any]:
    from nvp.training.data import TrainingData
    from nvp.training.events import EpochDone, Finished, Progress
    from nvp.training.trainer import Training

    series = series_of(data.train, name)
    began = time.process_time()
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="fieldgraph-bench-") as folder:
        place = Path(folder)
        parts = TrainingData(train=series, validation=series[-_WATCHED:])
        training = Training(_settings(config, seed), parts, place)
        facts["parameters"] = training.parameters
        for event in training.run():
            if isinstance(event, Progress):
                told(event.fraction, f"step {event.step}, loss {event.loss:.4f}")
            elif isinstance(event, EpochDone):
                facts["steps"] = event.step
            elif isinstance(event, Finished):
                facts |= {"cpu_seconds": round(training.clock.cpu_seconds, 1), "path": event.path}
        whole = time.process_time() - began
        found = scores(advance_of(facts.pop("path"), name), data)
    # compilation, fitted constants and checkpoints
    facts["other_cpu_seconds"] = round(whole - facts["cpu_seconds"], 1)
    return {**found, **facts}


def _settings(config: ApebenchConfig, seed: int) -> Any:
    """Ours in every scenario, chosen by training on 16 and looking at 4 of the training trajectories."""
    from nvp.training.config import LossConfig, TrainingConfig

    return TrainingConfig(
        size="tiny",
        rng_seed=seed,
        cpu_seconds=config.seconds,
        epochs=100_000,
        batch=config.batch,
        learning_rate=2e-3,
        loss=LossConfig(fidelity=0.0, pairs=1.0, variance=0.005),
        # without it one step is as good, but some rollouts blow up
        input_noise=0.03,
        validation_windows=16,
        checkpoint_seconds=1e9,
        tensorboard=False,
    )


def advance_of(checkpoint: Path, domain_name: str) -> Advance:
    """A checkpoint as a map from states to the next ones."""
    from nvp.dynamics.domain import domain
    from nvp.prediction.forecaster import Window, load_forecaster

    forecaster = load_forecaster(checkpoint)

    def advance(states: Float32[np.ndarray, "b h w c"]) -> Float32[np.ndarray, "b h w c"]:
        window = Window(history=states[:, None], dt=1.0, domain=domain(domain_name))
        return forecaster.forecast(window, 1).mean[:, 0]

    return advance


def scores(advance: Advance, data: Trajectories) -> dict[str, float]:
    """nRMSE of one step over all pairs, and the geometric mean over the steps of rollouts from the first frames."""
    from nvp.thermo.apebench_metrics import geometric_mean, nrmse

    test = data.test
    before = test[:, :-1].reshape(-1, *test.shape[2:])
    ahead = np.concatenate([advance(states) for states in _chunks(before)])
    one = nrmse(ahead.reshape(test[:, 1:].shape), test[:, 1:])
    states, curve = test[:, 0], []
    for step in range(1, test.shape[1]):
        states = advance(states)
        curve.append(float(nrmse(states, test[:, step]).mean()))
    # a rollout that blew up is worse than any other; JSON has null for it
    gmean = geometric_mean(np.array(curve)) if np.isfinite(curve).all() else float("inf")
    return {"one_step_nrmse": float(one.mean()), "gmean": gmean}


def _chunks(states: Float32[np.ndarray, "n h w c"]) -> Iterator[np.ndarray]:
    for start in range(0, len(states), _TOGETHER):
        yield states[start : start + _TOGETHER]


def _mean_of(by_seed: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean over the seeds of every number; where there are several, both figures of each stand beside."""

    def joined(rows: list[Mapping[str, Any]]) -> dict[str, Any]:
        mean: dict[str, Any] = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        if len(rows) > 1:
            mean["by_seed"] = {key: [row[key] for row in rows] for key in FIGURES}
        return mean

    return {
        "ours": joined([found["ours"] for found in by_seed]),
        "peers": {peer: joined([found["peers"][peer] for found in by_seed]) for peer in by_seed[0]["peers"]},
        "persistence": joined([found["persistence"] for found in by_seed]),
    }


def _ratios(found: Mapping[str, Any]) -> dict[str, float]:
    """Ours over the best of the others, by figure."""
    others = [*found["peers"].values(), found["persistence"]]
    return {key: found["ours"][key] / min(other[key] for other in others) for key in FIGURES}
