"""Inputs of the mutations; what is left out takes the default of the service."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import strawberry
from strawberry.scalars import JSON

from schema.enums import Forcing


@strawberry.enum(description="How large a predictor is; ridge is the linear one.")
class ModelSize(Enum):
    RIDGE = "ridge"
    TINY = "tiny"
    SMALL = "small"
    BASE = "base"


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
    force: bool = strawberry.field(default=False, description="A new run even where the same was asked before.")


@strawberry.input(description="Continue a snapshot with a checkpoint.")
class PredictInput:
    checkpoint: strawberry.ID
    snapshot: strawberry.ID
    steps: int = 1
    forcing: Forcing = Forcing.FROZEN
    force: bool = False


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
    force: bool = False


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
    force: bool = False


@strawberry.input(description="Make frames that were uploaded by PUT /arrays/{sha256} a stretch of a sequence.")
class IngestArraysInput:
    domain: str
    source: str = strawberry.field(description="Name of the source; frames of one source make one sequence.")
    frames: list[strawberry.ID] = strawberry.field(description="sha256 of each frame in order of time; 500 at most.")
    dt: float | None = strawberry.field(default=None, description="Time step; null: the domain's own.")
    first: int = strawberry.field(default=0, description="Step of the first frame where there is no calendar.")
    start: datetime | None = strawberry.field(default=None, description="Time of the first frame where there is one.")
