"""Recalibration: one factor on the variance per lead time, so that errors of the validation part are as large as said.

The factor of lead s is Σ(P − T)²/Σσ² over the validation part, hence its spread–skill ratio is 1 afterwards. One number
per lead cannot learn the validation part by heart, and changes neither means nor which cells are surer than others.

Reference: Guo et al., On calibration of modern neural networks, ICML (2017), temperature scaling.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from nvp.atlas.series import Series
from nvp.errors import FieldError
from nvp.prediction.forecaster import truth, windows
from nvp.prediction.rollout import Rollout

R = TypeVar("R", bound=Rollout)

# starts of each series that are looked at, evenly spread
_STARTS = 32


def recalibrate(forecaster: R, series: Sequence[Series], *, leads: int = 1) -> R:
    """The forecaster with a factor for each of `leads` leads (the last one for all later), fitted on these series."""
    plain = forecaster.scaled(())
    wrong, said = np.zeros(leads), np.zeros(leads)
    for one in series:
        last = len(one) - 1 - leads
        if last < plain.history - 1:
            continue
        starts = np.unique(np.linspace(plain.history - 1, last, _STARTS).round().astype(np.int64))
        forecast = plain.forecast(windows(one, history=plain.history, starts=starts, steps=leads), leads)
        error = forecast.mean.astype(np.float64) - truth(one, starts=starts, steps=leads)
        wrong += (error**2).sum(axis=(0, 2, 3, 4))
        said += np.exp(forecast.log_var.astype(np.float64)).sum(axis=(0, 2, 3, 4))
    if not (said > 0).all():
        raise FieldError(
            "NO_DATA",
            f"expected series of more than {plain.history + leads - 1} frames to recalibrate on, got none.",
            next_step="Use longer series or fewer leads.",
        )
    return plain.scaled([float(np.log(max(w, 1e-36) / s)) for w, s in zip(wrong, said, strict=True)])


def keep(directory: Path, log_scale: Sequence[float]) -> None:
    """Write the factors beside the parameters of a checkpoint, where loading finds them."""
    path = directory / "config.json"
    facts = json.loads(path.read_text(encoding="utf-8")) | {"log_scale": list(log_scale)}
    place = path.with_name(".config.json.new")
    place.write_text(json.dumps(facts, indent=1, sort_keys=True, allow_nan=False), encoding="utf-8")
    place.replace(path)
