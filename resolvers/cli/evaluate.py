"""`fieldgraph evaluate`: how good checkpoints are."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from graph.queries import evaluation, splits, training
from graph.queries.evaluation import Stretch
from graph.queries.splits import SplitRow
from resolvers.cli.follow import finish, opened, queued, queued_text
from resolvers.cli.output import JsonOption, console, emit, run
from resolvers.services.context import Services
from resolvers.services.submission import EvaluationRequest, submit_evaluation


class Role(StrEnum):
    """What a part of a split is for."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


def command(
    checkpoints: Annotated[
        list[str],
        typer.Argument(metavar="CHECKPOINT", help="Several are rng seeds of one model.", show_default=False),
    ],
    sequence: Annotated[
        list[str] | None, typer.Option(help="Sequence to score on; may be repeated. Default: the split's.")
    ] = None,
    begin: Annotated[str | None, typer.Option("--from", help="First frame: a t_index or an ISO time.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last frame, inclusive.")] = None,
    split_role: Annotated[
        Role | None, typer.Option(help="Part of the training's split; default: test, where no sequence is named.")
    ] = None,
    stride: Annotated[int, typer.Option(min=1, help="Score each n-th start.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Score again, even if it was done before.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to the workers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Score checkpoints beside the baselines; over several checkpoints the scores are averaged.

    Example: fieldgraph evaluate 9c1e… --sequence 4b0f… --from 2019-03-25T00:00 --json
    """
    request = EvaluationRequest(
        checkpoints=tuple(checkpoints),
        sequences=tuple(sequence or ()),
        split_role=split_role.value if split_role else None,
        begin=begin,
        end=end,
        stride=stride,
        force=force,
    )
    result = run(_evaluate(request, detach))
    if result.get("trained_on"):
        console.print(
            f"note: {result['trained_on']} of these frames trained or chose a checkpoint; "
            "--split-role test scores those that did not.",
            soft_wrap=True,
        )
    emit(result, as_json=as_json, text=_text(result))


async def _evaluate(request: EvaluationRequest, detach: bool) -> dict[str, Any]:
    async with opened() as services:
        submitted = await submit_evaluation(services, request)
        if detach:
            return queued(submitted)
        done = await finish(services, submitted)
        rows = await evaluation.evaluations_of_run(services.gateway, done.uid, limit=len(request.checkpoints))
        scores = dict(rows[0].scores)
        mean = scores.pop("over_seeds", scores)
        return {
            "run": done.uid,
            "evaluations": [row.uid for row in rows],
            "checkpoints": [row.checkpoint for row in rows],
            "stretches": [[part.sequence, part.first, part.last] for part in rows[0].stretches],
            "trained_on": trained_on(
                rows[0].stretches, [await _split(services, uid) for uid in dict.fromkeys(request.checkpoints)]
            ),
            **mean,
        }


async def _split(services: Services, checkpoint: str) -> SplitRow:
    return await splits.split(services.gateway, (await training.checkpoint(services.gateway, checkpoint)).model.split)


def trained_on(stretches: Sequence[Stretch], used: Sequence[SplitRow]) -> int:
    """How many frames of `stretches` one of these splits gave to training or validation."""
    seen = {
        (stretch.sequence, t_index)
        for split in used
        for part in (*split.of("train"), *split.of("val"))
        for stretch in stretches
        if stretch.sequence == part.sequence
        for t_index in range(max(stretch.first, part.first), min(stretch.last, part.last) + 1)
    }
    return len(seen)


def _text(result: dict[str, Any]) -> str:
    """The headline and the baselines, a line each."""
    if "fidelity" not in result:
        return queued_text(result)
    baselines = dict(result["baselines"])
    baselines |= {f"known physics, {name}": score for name, score in baselines.pop("known_physics").items()}
    lines = [_line("fidelity", result["fidelity"])]
    lines += [_line(name.replace("_", " "), score) for name, score in baselines.items() if score]
    return "\n".join([*lines, f"{'vrmse':24} {result['vrmse']:.4f}", f"{'run':24} {result['run']}"])


def _line(name: str, score: dict[str, Any]) -> str:
    low, high = score["ci95"]
    interval = "" if low is None else f"  95 % in {low:.3f} … {high:.3f}"
    pooled = "–" if score["pooled"] is None else f"{score['pooled']:.4f}"
    return f"{name:24} {pooled}{interval}  ({score['n']} pairs)"
