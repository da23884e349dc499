"""Fields to train, to choose and to score on, simulated once: a bench that is repeated reads them from its folder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nvp.atlas.series import Series
from resolvers.benches.suites import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is simulated: sequences with first states and parameters of their own."""

    domain: str
    scale: int = 64
    # frames of each
    frames: int = 30
    # sequences to train on, to choose by and to score
    counts: tuple[int, int, int] = (48, 6, 10)
    seed: int = 0
    # settings of the simulator other than its defaults
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """No sequence is in two of them."""

    train: Sequence[Series]
    validation: Sequence[Series]
    test: Sequence[Series]

    def map(self, change: Callable[[Series], Series]) -> Parts:
        """The same parts with every series changed."""
        train, validation, test = ([change(one) for one in part] for part in (self.train, self.validation, self.test))
        return Parts(train=train, validation=validation, test=test)


def history_only(series: Series) -> Series:
    """What is left to whoever sees the field alone."""
    return replace(series, context={}, parameters={})


def simulated(recipe: Recipe, folder: Path, progress: Report) -> Parts:
    """The sequences of a recipe, out of `folder` where they have been made before."""
    from nvp.dynamics.config import configure
    from nvp.dynamics.kinds import make

    config = configure(recipe.domain, {"scale": recipe.scale, "steps": recipe.frames, **recipe.settings})
    told = json.dumps([asdict(recipe), asdict(config)], sort_keys=True)
    path = folder / f"{recipe.domain}-{hashlib.sha256(told.encode()).hexdigest()[:16]}.npz"
    if not path.exists():
        made = make(
            "pde",
            recipe.domain,
            config,
            recipe.seed,
            sequences=sum(recipe.counts),
            progress=lambda done, total: progress(recipe.domain, done / total, "simulating"),
        )
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        with unfinished.open("wb") as file:
            np.savez(file, **_arrays(made))  # type: ignore[arg-type]
        unfinished.replace(path)
    series = _series(path, recipe.domain)
    train, chosen, _ = recipe.counts
    return Parts(train=series[:train], validation=series[train : train + chosen], test=series[train + chosen :])


def _arrays(series: Sequence[Series]) -> dict[str, np.ndarray]:
    first = series[0]
    arrays = {"energy": np.stack([one.energy for one in series]), "dt": np.array(first.dt)}
    for name in ("source_total", "outflow_total"):
        arrays[name] = np.stack([getattr(one, name) for one in series])
    for name in first.context:
        arrays[f"context/{name}"] = np.stack([one.context[name] for one in series])
    for name in first.parameters:
        arrays[f"parameters/{name}"] = np.array([one.parameters[name] for one in series])
    return arrays


def _series(path: Path, domain: str) -> list[Series]:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}

    def under(prefix: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}

    context, parameters = under("context/"), under("parameters/")
    return [
        Series(
            energy=energy,
            context={name: values[i] for name, values in context.items()},
            parameters={name: float(values[i]) for name, values in parameters.items()},
            dt=float(arrays["dt"]),
            domain=domain,
            source_total=arrays["source_total"][i],
            outflow_total=arrays["outflow_total"][i],
        )
        for i, energy in enumerate(arrays["energy"])
    ]
