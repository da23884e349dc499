"""One step ahead on a file of real fields: the last fifth of its time, which neither training nor choice has seen.

Cut by time with gaps of a day: a network learns from the first 60 % less the gap, is chosen on what follows up to 75 %,
and is scored once on the last fifth, beside ridge regression of the same history (penalty chosen on the same part,
cell-wise mean change by hour where there is a calendar), linear extrapolation and persistence.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nvp.atlas.series import Series
from nvp.errors import FieldError
from nvp.training.config import TrainingConfig
from nvp.training.splits import Role, by_time
from resolvers.benches.suites import Report, SuiteConfig
from resolvers.services.importing import IngestRequest, prepare

DOMAIN = "surface_temperature"
LEAST_FIDELITY, LEAST_MARGIN = 0.40, 0.03
_SECONDS_OF_DAY = 86_400.0


def run(config: SuiteConfig, progress: Report) -> dict[str, Any]:
    """The mean over the seeds, and whether it is good enough and far enough above ridge."""
    if config.file is None:
        raise FieldError("NO_FILE", "expected a file of real fields, got none.", next_step="Name it by --file.")
    name = config.domains[0] if config.domains else DOMAIN
    series = prepare(IngestRequest(path=config.file, domain=name, fit="crop")).parts
    parts = parts_of(series)
    with ExitStack() as stack:
        folder = config.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        return _measured(name, parts, folder, config, progress)


def _measured(
    name: str, parts: dict[Role, list[Series]], folder: Path, config: SuiteConfig, progress: Report
) -> dict[str, Any]:
    from nvp.prediction.baselines import rivals_for
    from nvp.prediction.evaluation import evaluate
    from nvp.prediction.forecaster import load_forecaster
    from nvp.prediction.seeds import combine
    from nvp.training.data import TrainingData
    from nvp.training.events import Finished, Progress
    from nvp.training.trainer import train

    data = TrainingData(train=parts["train"], validation=parts["validation"])
    rivals = rivals_for(parts["test"], parts["train"], parts["validation"])
    found, trainings = [], []
    for number, seed in enumerate(config.seeds):
        chosen = TrainingConfig(
            rng_seed=seed,
            epochs=1 if config.quick else None,
            cpu_seconds=None if config.minutes is None else 60 * config.minutes,
        )
        for event in train(chosen, data, directory=folder / name / str(seed)):
            match event:
                case Progress():
                    progress(name, (number + event.fraction) / len(config.seeds), f"training, seed {seed}")
                case Finished():
                    trainings.append({"seed": seed, "epoch": event.epoch, "val_fidelity": event.val_fidelity})
                    found.append(evaluate(load_forecaster(event.path), parts["test"], rivals=rivals))
    progress(name, 1.0, "")
    scores = combine(found).to_json()
    ridge = scores["baselines"]["ridge"]
    judged = criteria(scores["fidelity"]["pooled"], None if ridge is None else ridge["pooled"])
    return {
        "suite": "real",
        "n": scores["fidelity"]["n"],
        "seeds": list(config.seeds),
        "domain": name,
        "frames": {role: sum(map(len, several)) for role, several in parts.items()},
        "fidelity": scores["fidelity"],
        "per_seed": [one.fidelity.pooled for one in found],
        "baselines": scores["baselines"],
        "vrmse": scores["vrmse"],
        "persistence_vrmse": scores["persistence_vrmse"],
        "train": trainings,
        "criteria": judged,
        "passed": all(judged.values()),
    }


def criteria(pooled: float, ridge: float | None) -> dict[str, bool]:
    """What must hold; without a ridge to compare with, nothing shows that a network is worth it."""
    return {
        "fidelity": pooled >= LEAST_FIDELITY,
        "above_ridge": ridge is not None and pooled - ridge >= LEAST_MARGIN,
    }


def parts_of(series: Sequence[Series]) -> dict[Role, list[Series]]:
    """By time, each series on its own, with gaps of a day where time is the calendar's and a tenth elsewhere."""
    parts: dict[Role, list[Series]] = {"train": [], "validation": [], "test": []}
    for one in series:
        gap = round(_SECONDS_OF_DAY / one.dt) if one.valid_time is not None else len(one) // 10
        for part in by_time(len(one), gap=gap):
            parts[part.role].append(one.part(part.first, part.last + 1))
    return parts
