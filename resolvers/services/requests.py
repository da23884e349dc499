"""Requests: what may be asked of the workers, as the API and the command line say it. Nothing is checked here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from graph.queries.splits import Role
from resolvers.services.splitting import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """Train a predictor on a domain's sequences, or on those that are named."""

    domain: str | None = None
    sequences: tuple[str, ...] = ()
    model: str = "tiny"
    # passes over the training part; None: as the model's size has it
    epochs: int | None = None
    # wall-clock budget in seconds, compilation included; None: no budget
    seconds: float | None = None
    # frames that the model sees, 1 … 4; None: as the model's size has it
    history: int | None = None
    # root of everything random, >= 0
    seed: int = 0
    # by blocks of time or by whole sequences; None: by sequence where there are at least three
    split: Kind | None = None
    # frames between two parts of one series; None: a day where it has a calendar, else none
    gap: int | None = None
    # what else differs from the defaults of a network's training, by name of `TrainingConfig`
    settings: Mapping[str, Any] = field(default_factory=dict)
    # a new run even where the same was asked before
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionRequest:
    """Continue snapshots by `steps`: one state, a batch of them, by one checkpoint or by several as an ensemble."""

    # several are the members of one ensemble, whose mean and spread is predicted
    checkpoints: tuple[str, ...]
    # each is the start of a prediction of its own
    starts: tuple[str, ...]
    # leads 1 … steps
    steps: int = 1
    # external inputs held as at the start, or taken from the record (an oracle)
    forcing: Literal["frozen", "recorded"] = "frozen"
    # keep each member's states beside the mean
    members: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRequest:
    """Score checkpoints, beside the baselines, on sequences or on a role of the split they were trained with."""

    # several are rng seeds of one configuration: their scores are averaged
    checkpoints: tuple[str, ...]
    # empty: those of the split
    sequences: tuple[str, ...] = ()
    # train, val or test; None: test where no sequence is named, else the whole range
    split_role: Role | None = None
    # range of the frames: a t_index or an ISO time, both inclusive
    begin: str | None = None
    end: str | None = None
    # score each n-th start, >= 1
    stride: int = 1
    # leads of the rollouts
    horizon: int = 1
    # windows of their steps such as 6:12 (leads 7 … 12), which the horizon is made to reach; empty: The Well's, as far
    # as it does
    windows: tuple[str, ...] = ()
    # external inputs held as at the start, or taken from the record (an oracle); None: both, where they could differ
    forcing: Literal["frozen", "recorded"] | None = None
    # starts that are rolled out at most
    rollouts: int = 64
    # steps that are rolled out beyond the last frames; 0: none
    drift: int = 100
    # the domain was left out of the checkpoints' training: no baseline may learn from the training part
    left_out: bool = False
    # so many pieces at once, on Dask; None: one after the other, in the worker's own process
    parallel: int | None = None
    # what a Dask worker must have for a piece, by name, such as {"GPU": 1}
    resources: Mapping[str, float] = field(default_factory=dict)
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """Generate sequences of a domain: simulate them, or perturb a pattern from step to step."""

    domain: str
    # pde or perturbation
    kind: str = "pde"
    # a grid with a name, such as native or seeds; None: as `settings` say
    preset: str | None = None
    # how many
    sequences: int = 1
    # root of everything random, >= 0
    seed: int = 0
    # what differs from the defaults (scale, steps, dt, …)
    settings: Mapping[str, Any] = field(default_factory=dict)
    # so many batches of sequences at once, on Dask; None: one after the other, in the worker's own process
    parallel: int | None = None
    # what a Dask worker must have for a batch, by name, such as {"GPU": 1}
    resources: Mapping[str, float] = field(default_factory=dict)
    force: bool = False


Wanted = TrainingRequest | PredictionRequest | EvaluationRequest | GenerationRequest
