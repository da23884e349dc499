"""Which way of putting the next state together learns best: at displacements of 0.7, 2 and 4 cells per step.

All see the same inputs and hints of the same flow (`fluid_dynamics`, whose rms velocity is 1 per component) and have
the same budget of CPU time. `transport` weighs what the flow brings from places that the network shifts; `flux` takes
these places from the inputs' velocity and has fluxes and a mean-free change alone for what is wrong with it; `delta` is
`transport` with a free signed change instead of the conserving head, which keeps neither the total nor the sign.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nvp.model.config import Size
from nvp.training.config import TrainingConfig
from resolvers.benches.simulated import Parts, Recipe, simulated
from resolvers.benches.suites import Report, SuiteConfig

MINUTES = 2.0
DISPLACEMENTS = (0.7, 2.0, 4.0)
HEADS: Mapping[str, Mapping[str, Any]] = {
    "transport": {},
    "flux": {"shifts": False},
    "delta": {"head": "delta"},
}


def run(config: SuiteConfig, progress: Report) -> dict[str, Any]:
    """Fidelity on the validation part by displacement and head, means over the seeds; none may be below persistence."""
    minutes = config.minutes if config.minutes is not None else 0.05 if config.quick else MINUTES
    results: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        folder = config.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for number, cells in enumerate(DISPLACEMENTS):
            for seed in config.seeds:
                parts = simulated(_recipe(cells, seed, config), folder / "data", progress)
                for head in HEADS:
                    progress("heads", number / len(DISPLACEMENTS), f"{cells} cells, {head}")
                    place = folder / "heads" / f"{cells}-{head}-{seed}"
                    found = _trained(head, parts, place, seed=seed, minutes=minutes, quick=config.quick)
                    results.setdefault(str(cells), {}).setdefault(head, []).append(found)
    progress("heads", 1.0, "")
    means = {
        cells: {head: float(np.mean([one["fidelity"] for one in found])) for head, found in by_head.items()}
        for cells, by_head in results.items()
    }
    return {
        "suite": "heads",
        "n": len(config.seeds),
        "seeds": list(config.seeds),
        "minutes": minutes,
        "part": "validation",
        "baselines": {"persistence": 0.0},
        "results": {cells: {"fidelity": means[cells], "runs": runs} for cells, runs in results.items()},
        "best": {cells: max(by_head, key=lambda head: by_head[head]) for cells, by_head in means.items()},
        "passed": all(value > 0 for by_head in means.values() for value in by_head.values()),
    }


def _recipe(cells: float, seed: int, config: SuiteConfig) -> Recipe:
    counts = (4, 2, 0) if config.quick else (40, 8, 0)
    frames = 8 if config.quick else 24
    settings = {"dt": cells}
    return Recipe(
        domain="fluid_dynamics", scale=config.scale, frames=frames, counts=counts, seed=seed, settings=settings
    )


def _trained(head: str, parts: Parts, place: Path, *, seed: int, minutes: float, quick: bool) -> dict[str, Any]:
    """Validation of one head after its budget."""
    from nvp.model.config import config_for
    from nvp.training.data import TrainingData
    from nvp.training.events import EpochDone
    from nvp.training.trainer import Training

    data = TrainingData(train=parts.train, validation=parts.validation)
    size: Size = "tiny" if quick else "small"
    model = replace(config_for(data.spec, parts.train[0], size=size, history=1), **HEADS[head])
    chosen = TrainingConfig(size=size, rng_seed=seed, cpu_seconds=60 * minutes, epochs=10_000)
    training = Training(chosen, data, place, model=model)
    last = None
    for event in training.run():
        if isinstance(event, EpochDone):
            last = event
    assert last is not None
    return {
        "fidelity": last.val_fidelity,
        "vrmse": last.val_vrmse,
        "steps": last.step,
        "parameters": training.parameters,
        "seed": seed,
    }
