"""`fieldgraph predict`: continue a snapshot."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from graph.queries import prediction
from graph.queries.prediction import PredictionRow
from resolvers.cli.follow import finish, opened, queued
from resolvers.cli.output import JsonOption, emit, run
from resolvers.services.submission import PredictionRequest, submit_prediction


class Forcing(StrEnum):
    """What the rollout is told of external inputs after the start."""

    FROZEN = "frozen"
    RECORDED = "recorded"


def command(
    snapshot: Annotated[str, typer.Argument(help="The snapshot to start from.", show_default=False)],
    checkpoint: Annotated[str, typer.Option(help="The checkpoint that predicts.")],
    steps: Annotated[int, typer.Option(min=1, help="How far ahead.")] = 1,
    forcing: Annotated[
        Forcing, typer.Option(help="External inputs: held as at the start, or as they were recorded (an oracle).")
    ] = Forcing.FROZEN,
    force: Annotated[bool, typer.Option("--force", help="Predict again, even if it was done before.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to the workers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Predict the fields that follow a snapshot, and score them where the truth is known.

    Example: fieldgraph predict 4b0f7f0e-2f5c-5f0a-8a63-0d1f2f6a9c11 --checkpoint 9c1e… --steps 12
    """
    request = PredictionRequest(
        checkpoint=checkpoint, snapshot=snapshot, steps=steps, forcing=forcing.value, force=force
    )
    emit(run(_predict(request, detach)), as_json=as_json)


async def _predict(request: PredictionRequest, detach: bool) -> dict[str, Any]:
    async with opened() as services:
        submitted = await submit_prediction(services, request)
        if detach:
            return queued(submitted)
        done = await finish(services, submitted)
        (uid,) = await prediction.predictions_of_run(services.gateway, done.uid)
        return {"run": done.uid, **_shown(await prediction.prediction(services.gateway, uid))}


def _shown(row: PredictionRow) -> dict[str, Any]:
    return {
        "prediction": row.uid,
        "start": row.start,
        "checkpoint": row.checkpoint,
        "steps": [
            {"lead": state.lead, "snapshot": state.uid, "sha256": state.sha256, "truth": state.truth, **state.scores}
            for state in row.states
        ],
    }
