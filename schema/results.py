"""Results: expected failures are members of each mutation's union, so that a client must look at them."""

from __future__ import annotations

from typing import Annotated

import strawberry

from schema.fields import Sequence
from schema.runs import (
    ACERun,
    EvaluationRun,
    ExpansionRun,
    GenerationRun,
    PredictionRun,
    RelaxationRun,
    ShadowRun,
    SweepRun,
    TrainingRun,
)
from schema.snapshots import SimilarSnapshots


@strawberry.interface(description="Why nothing was done: what was expected, what was given, what to do next.")
class Problem:
    code: str = strawberry.field(description="Stable and machine-readable.")
    message: str
    next_step: str


@strawberry.type(description="The input cannot be used.")
class InvalidInput(Problem):
    pass


@strawberry.type(description="The input names something that the graph does not have.")
class NotFound(Problem):
    label: str
    uid: strawberry.ID


@strawberry.type(description="The graph already holds something else under this identity.")
class Conflict(Problem):
    pass


TrainResult = Annotated[TrainingRun | InvalidInput | NotFound | Conflict, strawberry.union("TrainResult")]
PredictResult = Annotated[PredictionRun | InvalidInput | NotFound | Conflict, strawberry.union("PredictResult")]
EvaluateResult = Annotated[EvaluationRun | InvalidInput | NotFound | Conflict, strawberry.union("EvaluateResult")]
GenerateResult = Annotated[GenerationRun | InvalidInput | NotFound | Conflict, strawberry.union("GenerateResult")]
CancelResult = Annotated[
    TrainingRun
    | PredictionRun
    | EvaluationRun
    | GenerationRun
    | RelaxationRun
    | SweepRun
    | ExpansionRun
    | ACERun
    | ShadowRun
    | InvalidInput
    | NotFound,
    strawberry.union("CancelResult"),
]
IngestArraysResult = Annotated[Sequence | InvalidInput | NotFound | Conflict, strawberry.union("IngestArraysResult")]
SimilarResult = Annotated[SimilarSnapshots | InvalidInput | NotFound, strawberry.union("SimilarResult")]
