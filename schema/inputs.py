"""Inputs of the mutations; what is left out takes the default of the service."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any

import strawberry
from strawberry.scalars import JSON

from schema.enums import Forcing

CLIENT_KEY: Any = strawberry.field(
    default=None, description="Stands for this request: sent again, it is answered with the same run."
)

PARALLEL: Any = strawberry.field(
    default=None, description="So many pieces at once, on Dask. Null: one after the other, in the worker itself."
)
RESOURCES: Any = strawberry.field(
    default=None, description='What a Dask worker must have for a piece, by name, such as {"GPU": 1}.'
)


@strawberry.enum(description="How large a predictor is; ridge is the linear one.")
class ModelSize(Enum):
    RIDGE = "ridge"
    TINY = "tiny"
    SMALL = "small"
    BASE = "base"
    LITERAL = "literal"


@strawberry.enum(description="How sequences are divided into train, val and test.")
class SplitKind(Enum):
    SEQUENCE = "sequence"
    BLOCK = "block"


@strawberry.enum(description="What a part of a split is for.")
class Role(Enum):
    TRAIN = "train"
    VAL = "val"
    TEST = "test"


@strawberry.input(description="Train a predictor on a domain's sequences, or on those that are named.")
class TrainInput:
    domain: str | None = None
    sequences: list[strawberry.ID] = strawberry.field(default_factory=list)
    model: ModelSize = ModelSize.TINY
    epochs: int | None = strawberry.field(default=None, description="Null: as the model's size has it.")
    seconds: float | None = strawberry.field(default=None, description="Wall-clock budget, compilation included.")
    history: int | None = strawberry.field(default=None, description="Frames that the model sees, 1 … 4.")
    seed: int = 0
    split: SplitKind | None = strawberry.field(
        default=None, description="Null: by sequence where there are at least three, else by time."
    )
    gap: int | None = strawberry.field(
        default=None, description="Frames between two parts of one sequence; null: a day where it has a calendar."
    )
    settings: JSON | None = strawberry.field(
        default=None, description="What else differs from the defaults of the training (batch, learning_rate, loss, …)."
    )
    force: bool = strawberry.field(default=False, description="A new run even where the same was asked before.")
    client_key: str | None = CLIENT_KEY


@strawberry.input(description="Continue snapshots: one or a batch of them, with one checkpoint or an ensemble.")
class PredictInput:
    checkpoint: strawberry.ID | None = strawberry.field(default=None, description="Or `checkpoints`.")
    checkpoints: list[strawberry.ID] = strawberry.field(
        default_factory=list, description="Several are an ensemble: the mean of all, with its spread."
    )
    snapshot: strawberry.ID | None = strawberry.field(default=None, description="Or `starts`.")
    starts: list[strawberry.ID] = strawberry.field(
        default_factory=list, description="Snapshots; each gets a prediction of its own."
    )
    steps: int = 1
    forcing: Forcing = Forcing.FROZEN
    members: bool = strawberry.field(default=False, description="Keep each member's states beside the mean.")
    force: bool = False
    client_key: str | None = CLIENT_KEY


@strawberry.input(description="Score checkpoints on sequences, or on a role of the split they were trained with.")
class EvaluateInput:
    checkpoints: list[strawberry.ID] = strawberry.field(
        description="Several are rng seeds of one configuration: their scores are averaged."
    )
    sequences: list[strawberry.ID] = strawberry.field(default_factory=list, description="Empty: those of the split.")
    split_role: Role | None = strawberry.field(
        default=None, description="Null: TEST where no sequence is named, else the whole range."
    )
    begin: str | None = strawberry.field(default=None, description="First frame: a t_index or an ISO time.")
    end: str | None = strawberry.field(default=None, description="Last frame, inclusive.")
    stride: int = strawberry.field(default=1, description="Score each n-th start.")
    horizon: int = strawberry.field(default=1, description="Leads of the rollouts.")
    windows: list[str] = strawberry.field(
        default_factory=list,
        description="Windows of steps from 0 such as 6:12 (leads 7 to 12). Empty: The Well's, within the horizon.",
    )
    forcing: Forcing | None = strawberry.field(default=None, description="Null: both, where they could differ.")
    rollouts: int = strawberry.field(default=64, description="Starts that are rolled out at most.")
    drift: int = strawberry.field(default=100, description="Steps rolled out beyond the last frames; 0 for none.")
    parallel: int | None = PARALLEL
    resources: JSON | None = RESOURCES
    force: bool = False
    client_key: str | None = CLIENT_KEY


@strawberry.enum(description="How sequences are generated: by a domain's simulator, or by perturbing a pattern.")
class GenerationKind(Enum):
    PDE = "pde"
    PERTURBATION = "perturbation"


@strawberry.input(description="Generate sequences of a domain.")
class GenerateInput:
    domain: str
    kind: GenerationKind = GenerationKind.PDE
    preset: str | None = strawberry.field(
        default=None, description="A grid with a name: native (turbulent_radiative_layer), seeds (perturbations)."
    )
    sequences: int = 1
    seed: int = 0
    settings: JSON | None = strawberry.field(
        default=None, description="What differs from the defaults (scale, steps, dt, …)."
    )
    parallel: int | None = PARALLEL
    resources: JSON | None = RESOURCES
    force: bool = False
    client_key: str | None = CLIENT_KEY


@strawberry.input(description="Make frames that were uploaded by PUT /arrays/{sha256} a stretch of a sequence.")
class IngestArraysInput:
    domain: str
    source: str = strawberry.field(description="Name of the source; frames of one source make one sequence.")
    frames: list[strawberry.ID] = strawberry.field(description="sha256 of each frame in order of time; 500 at most.")
    dt: float | None = strawberry.field(default=None, description="Time step; null: the domain's own.")
    first: int = strawberry.field(default=0, description="Step of the first frame where there is no calendar.")
    start: datetime | None = strawberry.field(default=None, description="Time of the first frame where there is one.")
