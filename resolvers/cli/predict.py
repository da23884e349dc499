"""`fieldgraph predict`: continue a snapshot."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from graph.errors import GraphError
from graph.queries import prediction, timeline
from graph.queries.prediction import PredictionRow
from resolvers.cli.follow import finish, opened, queued, queued_text
from resolvers.cli.output import JsonOption, emit, fail, run
from resolvers.services.context import Services
from resolvers.services.submission import PredictionRequest, submit_prediction, t_index


class Forcing(StrEnum):
    """What the rollout is told of external inputs after the start."""

    FROZEN = "frozen"
    RECORDED = "recorded"


def command(
    checkpoint: Annotated[str, typer.Option(help="The checkpoint that predicts.")],
    snapshot: Annotated[str | None, typer.Argument(metavar="SNAPSHOT", help="The snapshot to start from.")] = None,
    sequence: Annotated[str | None, typer.Option(help="In place of SNAPSHOT: a frame of this sequence.")] = None,
    at: Annotated[str | None, typer.Option(help="Which frame: a t_index or an ISO time; default: the last.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="How far ahead.")] = 1,
    forcing: Annotated[
        Forcing, typer.Option(help="External inputs: held as at the start, or as they were recorded (an oracle).")
    ] = Forcing.FROZEN,
    force: Annotated[bool, typer.Option("--force", help="Predict again, even if it was done before.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to the workers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Predict the fields that follow a snapshot, and score them where the truth is known.

    Example: fieldgraph predict --sequence 4b0f… --at 2019-03-25T00:00 --checkpoint 9c1e… --steps 12
    """
    if (snapshot is None) == (sequence is None):
        got = "neither" if snapshot is None else "both"
        fail(GraphError("BAD_OPTIONS", f"expected a snapshot or a --sequence, got {got}.", next_step="Give one."))

    async def predict() -> dict[str, Any]:
        async with opened() as services:
            start = snapshot or await _frame(services, sequence or "", at)
            request = PredictionRequest(
                checkpoint=checkpoint, snapshot=start, steps=steps, forcing=forcing.value, force=force
            )
            return await _predict(services, request, detach)

    result = run(predict())
    emit(result, as_json=as_json, text=_text(result))


async def _frame(services: Services, sequence: str, at: str | None) -> str:
    """The uid of a sequence's frame at that time, or of its last one."""
    row = await timeline.sequence(services.gateway, sequence)
    index = row.last if at is None else t_index(row, at)
    found = await timeline.frames(services.gateway, sequence, index, index)
    if not found:
        raise GraphError(
            "NO_FRAME",
            f"expected a frame of {sequence} with t_index from {row.first} to {row.last}, got {at} (t_index {index}).",
        )
    return found[0].uid


async def _predict(services: Services, request: PredictionRequest, detach: bool) -> dict[str, Any]:
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
            {
                "lead": state.lead,
                "t": state.t,
                "valid_time": state.valid_time,
                "snapshot": state.uid,
                "sha256": state.sha256,
                "truth": state.truth,
                **state.scores,
            }
            for state in row.states
        ],
    }


def _text(result: dict[str, Any]) -> str:
    """A line for each lead; scores only where the truth is known."""
    if "steps" not in result:
        return queued_text(result)
    lines = [
        f"prediction {result['prediction']} from {result['start']}",
        f"{'lead':>4}  {'time':20}  {'fidelity':>8}  {'VRMSE':>8}  snapshot",
    ]
    for step in result["steps"]:
        time = f"{step['t']:g}" if step["valid_time"] is None else f"{step['valid_time']:%Y-%m-%dT%H:%M:%SZ}"
        scores = (step.get("fidelity"), step.get("vrmse"))
        fidelity, vrmse = ("–" if score is None else f"{score:.4f}" for score in scores)
        lines.append(f"{step['lead']:>4}  {time:20}  {fidelity:>8}  {vrmse:>8}  {step['snapshot']}")
    return "\n".join(lines)
