"""Fitting ridge regression, told in the events of a training: one epoch, one checkpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from nvp.atlas.series import Series
from nvp.model.ridge import RidgeConfig, fit_ridge
from nvp.prediction.forecaster import Forecaster, truth, windows
from nvp.thermo.scores import concatenate, pair_errors, pooled_fidelity
from nvp.training.data import TrainingData
from nvp.training.events import Begun, CheckpointSaved, EpochDone, Finished, TrainingEvent

CHUNK = 64  # windows that are predicted together


def train_ridge(config: RidgeConfig, data: TrainingData, *, directory: Path) -> Iterator[TrainingEvent]:
    """Fit to the training part, choose the penalty on the validation part, write one checkpoint below `directory`."""
    began = time.monotonic()
    model = fit_ridge(data.train, config, validation=data.validation)
    yield Begun(config={"kind": "ridge", **asdict(config)}, parameters=model.weights.size, data_digest=data.digest)
    sha256 = model.sha256
    path = directory / sha256[:16]
    if not path.exists():
        partial = directory / f"{sha256[:16]}.partial"
        model.save(partial)
        partial.rename(path)
    fidelity = _pooled(model, data.validation)
    seconds = time.monotonic() - began
    error = 1.0 - _pooled(model, data.train)
    yield EpochDone(
        epoch=1,
        step=1,
        train_loss=error,
        terms={"fidelity": error},
        val_fidelity=fidelity,
        val_vrmse=float("nan"),
        learning_rate=float("nan"),
        seconds=seconds,
    )
    yield CheckpointSaved(path=path, step=1, epoch=1, val_fidelity=fidelity, sha256=sha256)
    yield Finished(
        path=path, step=1, epoch=1, val_fidelity=fidelity, sha256=sha256, seconds=seconds, reason="it has a solution"
    )


def _pooled(model: Forecaster, series: Sequence[Series]) -> float:
    """Pooled fidelity at lead 1 over all pairs; NaN where there are none."""
    found = []
    for one in series:
        starts = np.arange(model.history - 1, len(one) - 1)
        for at in np.split(starts, range(CHUNK, len(starts), CHUNK)) if len(starts) else ():
            window = windows(one, history=model.history, starts=at, steps=1)
            predicted = model.forecast(window, 1).mean[:, 0]
            found.append(pair_errors(predicted, truth(one, starts=at, steps=1)[:, 0], window.history[:, -1]))
    if not found:
        return float("nan")
    pairs = concatenate(found)
    return pooled_fidelity(float(pairs.error.sum()), float(pairs.change.sum()))
