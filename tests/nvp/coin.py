"""Series whose next state is drawn: a base map plus or minus a pattern. What can be known of it is known exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nvp.atlas.series import Series
from nvp.dynamics.domain import domain
from nvp.model.config import config_for
from nvp.model.nvp import NVP
from nvp.model.statistics import fit_statistics
from nvp.training.checkpoint import write_model
from nvp.training.step import split

SIDE = 8
# the pattern's deviation, against a base of mean 1
SIZE = 0.2


def base() -> np.ndarray:
    """What the mean of the next state is, whatever the state."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] * 2 * np.pi / SIDE
    return 1 + 0.3 * np.cos(x) * np.cos(y)


def pattern() -> np.ndarray:
    """What is added or taken away as a whole; without mean."""
    _, x = np.mgrid[0:SIDE, 0:SIDE] * 2 * np.pi / SIDE
    return SIZE * np.sqrt(2) * np.sin(x)


@cache
def coin_series(law: Literal["coin", "normal"] = "coin", *, frames: int = 400, seed: int = 0) -> Series:
    """Each frame independent of the one before: ± pattern with equal chances, or times a normal number."""
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], frames) if law == "coin" else np.clip(rng.standard_normal(frames), -2.4, 2.4)
    energy = base() + signs[:, None, None] * pattern()
    return Series(energy=energy[..., None].astype(np.float32), dt=1.0, domain="fluid_dynamics")


def untrained(directory: Path, series: Series, facts: Mapping[str, Any]) -> Path:
    """The checkpoint of a small network that says persistence."""
    config = replace(config_for(domain(series.domain), series, history=1), widths=(8, 8, 8), latent=16)
    model = NVP(config, fit_statistics(config, [series]), rng=np.random.default_rng(0))
    _, params, constants = split(model)
    path = directory / "best"
    write_model(path, config, params, constants, facts)
    return path
