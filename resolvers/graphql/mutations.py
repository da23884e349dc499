"""Root fields that ask for work: each queues a Run and returns it at once; a worker does it later."""

from __future__ import annotations

from typing import cast

import strawberry

from graph.errors import GraphError
from graph.queries import runs
from resolvers.graphql import present
from resolvers.graphql.ace import AceMutation
from resolvers.graphql.context import Info
from resolvers.graphql.coordination import CouplingMutation
from resolvers.services import submission, uploads
from schema.described import described
from schema.fields import Sequence
from schema.inputs import EvaluateInput, GenerateInput, IngestArraysInput, PredictInput, TrainInput
from schema.results import CancelResult, EvaluateResult, GenerateResult, IngestArraysResult, PredictResult, TrainResult


@strawberry.type(description="Asks for work; the answer is a run in state QUEUED, or why there is none.")
class Mutation(CouplingMutation, AceMutation):
    @described("Train a predictor of the next field.")
    async def train(self, info: Info, input: TrainInput) -> TrainResult:
        request = submission.TrainingRequest(
            domain=input.domain,
            sequences=tuple(input.sequences),
            model=input.model.value,
            epochs=input.epochs,
            seconds=input.seconds,
            history=input.history,
            seed=input.seed,
            split=input.split.value if input.split else None,
            gap=input.gap,
            settings=cast("dict[str, object]", input.settings or {}),
            force=input.force,
        )
        row = await submission.submit_training(info.context.services, request, client_key=input.client_key)
        return cast("TrainResult", present.submitted(row))

    @described("Predict the fields that follow a snapshot.")
    async def predict(self, info: Info, input: PredictInput) -> PredictResult:
        request = submission.PredictionRequest(
            checkpoints=_one_or_many("checkpoint", input.checkpoint, input.checkpoints),
            starts=_one_or_many("snapshot", input.snapshot, input.starts),
            steps=input.steps,
            forcing=input.forcing.value,
            members=input.members,
            force=input.force,
        )
        row = await submission.submit_prediction(info.context.services, request, client_key=input.client_key)
        return cast("PredictResult", present.submitted(row))

    @described("Score checkpoints on sequences, beside the baselines.")
    async def evaluate(self, info: Info, input: EvaluateInput) -> EvaluateResult:
        request = submission.EvaluationRequest(
            checkpoints=tuple(input.checkpoints),
            sequences=tuple(input.sequences),
            split_role=input.split_role.value if input.split_role else None,
            begin=input.begin,
            end=input.end,
            stride=input.stride,
            horizon=input.horizon,
            windows=tuple(input.windows),
            forcing=input.forcing.value if input.forcing else None,
            rollouts=input.rollouts,
            drift=input.drift,
            parallel=input.parallel,
            resources=cast("dict[str, float]", input.resources or {}),
            force=input.force,
        )
        row = await submission.submit_evaluation(info.context.services, request, client_key=input.client_key)
        return cast("EvaluateResult", present.submitted(row))

    @described("Simulate sequences of a domain.")
    async def generate(self, info: Info, input: GenerateInput) -> GenerateResult:
        request = submission.GenerationRequest(
            domain=input.domain,
            kind=input.kind.value,
            preset=input.preset,
            sequences=input.sequences,
            seed=input.seed,
            settings=cast("dict[str, object]", input.settings or {}),
            parallel=input.parallel,
            resources=cast("dict[str, float]", input.resources or {}),
            force=input.force,
        )
        row = await submission.submit_generation(info.context.services, request, client_key=input.client_key)
        return cast("GenerateResult", present.submitted(row))

    @described("Cancel a queued run at once; ask the worker of a running one to stop.")
    async def cancel_run(self, info: Info, uid: strawberry.ID) -> CancelResult:
        row = await runs.request_cancel(info.context.services.gateway, uid)
        return cast("CancelResult", present.submitted(row))

    @described("Make uploaded frames a stretch of a sequence; the same frames again add nothing.")
    async def ingest_arrays(self, info: Info, input: IngestArraysInput) -> IngestArraysResult:
        request = uploads.UploadRequest(
            domain=input.domain,
            source=input.source,
            frames=tuple(input.frames),
            dt=input.dt,
            first=input.first,
            start=input.start,
        )
        report = await uploads.ingest_uploads(info.context.services, request)
        return cast("IngestArraysResult", await info.context.catalog.one(Sequence, report.sequence))


def _one_or_many(name: str, one: str | None, many: list[strawberry.ID]) -> tuple[str, ...]:
    """What is asked for by one name or by a list."""
    if (one is None) == (not many):
        got = "neither" if one is None else "both"
        raise GraphError("BAD_REQUEST", f"expected either a {name} or a list of them, got {got}.")
    return tuple(many) if one is None else (one,)
