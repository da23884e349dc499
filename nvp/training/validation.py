"""The look at the validation part after each epoch, one step ahead."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nvp.dynamics.domain import DomainSpec
from nvp.model.inputs import Inputs
from nvp.model.nvp import Prediction
from nvp.thermo.scores import concatenate, pair_errors, pooled_fidelity, vrmse
from nvp.training.data import Examples
from nvp.training.metrics import TrainingMetrics, metrics_of

# windows that the slower metrics look at
_CLOSELY = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """On the windows that were looked at."""

    # pooled over the windows; 0 where nothing changes
    fidelity: float
    # mean over the windows
    vrmse: float = math.nan
    # logarithm of the factor on the variance by which errors are as large as said; None where nobody asked
    log_scale: float | None = None
    # on some of the windows
    metrics: TrainingMetrics | None = None


def validate(
    predict: Callable[[Inputs], Prediction],
    examples: Examples,
    spec: DomainSpec,
    *,
    batch: int,
    windows: int,
) -> Score:
    """Score it on at most `windows` examples, evenly spread; the last batch is filled up, not counted twice."""
    began = time.perf_counter()
    numbers = np.unique(np.linspace(0, len(examples) - 1, min(windows, len(examples))).round().astype(int))
    # first those that are looked at closely, evenly spread too
    order = np.argsort(np.arange(len(numbers)) % -(-len(numbers) // _CLOSELY), kind="stable")
    numbers = numbers[order]
    errors, relative, seen = [], [], []
    said = 0.0
    for start in range(0, len(numbers), batch):
        chosen = numbers[start : start + batch]
        inputs, truth = examples.batch(np.resize(chosen, batch))
        prediction = predict(inputs)
        mean = np.asarray(prediction.mean)
        said += np.exp(np.asarray(prediction.log_var[: len(chosen)], np.float64)).sum()
        mean, truth, state = (values[: len(chosen)] for values in (mean, truth, inputs.history[:, -1]))
        errors.append(pair_errors(mean, truth, state))
        relative.append(vrmse(mean, truth).mean(axis=1))
        if start < _CLOSELY:
            seen.append((mean, truth, state))
    pairs = concatenate(errors)
    error, change = pairs.error.sum(), pairs.change.sum()
    fidelity = pooled_fidelity(error, change) if change > 0 else 0.0
    mean, truth, state = (np.concatenate(values)[:_CLOSELY] for values in zip(*seen, strict=True))
    metrics = metrics_of(mean, truth, state, spec, seconds=time.perf_counter() - began)
    return Score(
        fidelity=fidelity,
        vrmse=float(np.concatenate(relative).mean()),
        log_scale=float(np.log(error / said)) if error > 0 and said > 0 else 0.0,
        metrics=metrics,
    )
