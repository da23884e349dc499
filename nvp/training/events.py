"""What a training says while it runs. Whoever drives the generator decides where it goes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The first event: what is trained, with every open choice made."""

    # plain values; equal for equal models, whoever trains them
    config: Mapping[str, Any]
    # numbers that are trained
    parameters: int
    # sha256 over the hashes of the training part's frames, in order
    data_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where it stands; at most twice a second."""

    epoch: int
    # of all epochs; a time limit may end it earlier
    epochs: int
    step: int
    # of the last step, whole
    loss: float
    samples_per_second: float
    # of the last validation, None before the first
    fidelity: float | None
    # seconds to the end, by the time limit or the speed so far
    eta: float
    # share that is done, 0 … 1
    fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochDone:
    """One pass over the training part and the validation after it."""

    epoch: int
    step: int
    # means over the epoch's steps but those that were skipped: whole loss, and its terms by name, unweighted
    train_loss: float
    terms: Mapping[str, float]
    # of the running mean of the parameters on the validation part: pooled fidelity and mean VRMSE
    val_fidelity: float
    val_vrmse: float
    learning_rate: float
    seconds: float
    samples_per_second: float = math.nan
    # steps ahead that the loss looked at
    horizon: int = 1
    # steps of the epoch whose loss or gradient was not finite
    skipped: int = 0
    # more about the validation part: `nvp.training.metrics.TrainingMetrics` as plain values
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved:
    """The best parameters so far are on disk."""

    # directory that `load_forecaster` takes
    path: Path
    step: int
    epoch: int
    val_fidelity: float
    # of the parameters in path order
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The last event."""

    path: Path
    step: int
    epoch: int
    val_fidelity: float
    sha256: str
    seconds: float
    # why: `epochs` or `seconds` are over, or validation grew no better for `patience` epochs
    reason: str


TrainingEvent = Begun | Progress | EpochDone | CheckpointSaved | Finished
