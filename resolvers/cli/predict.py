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
    checkpoint: Annotated[
        list[str], typer.Option(help="The checkpoint that predicts; several predict together, as an ensemble.")
    ],
    snapshots: Annotated[
        list[str] | None,
        typer.Argument(metavar="SNAPSHOT", help="The snapshot to start from; several are a batch.", show_default=False),
    ] = None,
    sequence: Annotated[str | None, typer.Option(help="In place of SNAPSHOT: a frame of this sequence.")] = None,
    at: Annotated[str | None, typer.Option(help="Which frame: a t_index or an ISO time; default: the last.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="How far ahead.")] = 1,
    forcing: Annotated[
        Forcing, typer.Option(help="External inputs: held as at the start, or as they were recorded (an oracle).")
    ] = Forcing.FROZEN,
    members: Annotated[bool, typer.Option("--members", help="Keep each member's states beside the mean.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Predict again, even if it was done before.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to the workers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Predict the fields that follow a snapshot, and score them where the truth is known.

    Example: fieldgraph predict --sequence 4b0f… --at 2019-03-25T00:00 --checkpoint 9c1e… --steps 12

    Example: fieldgraph predict 6857… 0c2a… --checkpoint 9c1e… --checkpoint 77d0… --steps 6 --json
    """
    if bool(snapshots) == (sequence is not None):
        got = "both" if snapshots else "neither"
        fail(GraphError("BAD_OPTIONS", f"expected a snapshot or a --sequence, got {got}.", next_step="Give one."))

    async def predict() -> dict[str, Any]:
        async with opened() as services:
            request = PredictionRequest(
                checkpoints=tuple(checkpoint),
                starts=tuple(snapshots or ()) or (await _frame(services, sequence or "", at),),
                steps=steps,
                forcing=forcing.value,
                members=members,
                force=force,
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
    uids = await prediction.predictions_of_run(services.gateway, done.uid, limit=len(request.starts))
    rows = {row.start: row for row in [await prediction.prediction(services.gateway, uid) for uid in uids]}
    shown = [_shown(rows[start]) for start in dict.fromkeys(request.starts)]
    # one start is the object itself, as it ever was
    return {"run": done.uid, **(shown[0] if len(shown) == 1 else {"predictions": shown})}


def _shown(row: PredictionRow) -> dict[str, Any]:
    return {
        "prediction": row.uid,
        "start": row.start,
        "checkpoint": row.checkpoint,
        "checkpoints": row.checkpoints,
        "members": row.members,
        "steps": [
            {
                "lead": state.lead,
                "member": state.member,
                "t": state.t,
                "valid_time": state.valid_time,
                "snapshot": state.uid,
                "sha256": state.sha256,
                "truth": state.truth,
                **state.scores,
            }
            for state in row.states
        ],
        "violation_count": row.violation_count,
        "violations": [
            {"law": one.law, "lead": one.lead, "member": one.member, "value": one.value, "limit": one.limit}
            for one in row.violations
        ],
    }


def _text(result: dict[str, Any]) -> str:
    """A line for each lead; scores only where the truth is known."""
    if "predictions" in result:
        return "\n\n".join(_text(one) for one in result["predictions"])
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
    for one in result.get("violations", ()):
        whose = "" if one["member"] is None else f" of member {one['member']}"
        got = "not finite" if one["value"] is None else f"{one['value']:.3g}"
        lines.append(f"law of {one['law']} broken at lead {one['lead']}{whose}: {got}, allowed {one['limit']:.3g}")
    return "\n".join(lines)
