"""`fieldgraph evaluate`: how good checkpoints are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any

import typer

from graph.queries import evaluation, splits, training
from graph.queries.evaluation import Stretch
from graph.queries.runs import RunRow
from graph.queries.splits import SplitRow
from resolvers.cli.evaluation_report import report
from resolvers.cli.follow import finish, opened, queued, queued_text
from resolvers.cli.output import JsonOption, console, emit, run
from resolvers.cli.parallel import ParallelOption, ResourceOption, resources_of
from resolvers.services.context import Services
from resolvers.services.leave_out import submit_leave_out
from resolvers.services.submission import MAX_STEPS, EvaluationRequest, TrainingRequest, submit_evaluation


class Role(StrEnum):
    """What a part of a split is for."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Forcing(StrEnum):
    """External inputs of later steps: as at the start, or as they came (an oracle)."""

    FROZEN = "frozen"
    RECORDED = "recorded"


def command(
    checkpoints: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CHECKPOINT]...", help="Several are rng seeds of one model.", show_default=False),
    ] = None,
    sequence: Annotated[
        list[str] | None, typer.Option(help="Sequence to score on; may be repeated. Default: the split's.")
    ] = None,
    begin: Annotated[str | None, typer.Option("--from", help="First frame: a t_index or an ISO time.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last frame, inclusive.")] = None,
    split_role: Annotated[
        Role | None, typer.Option(help="Part of the training's split; default: test, where no sequence is named.")
    ] = None,
    stride: Annotated[int, typer.Option(min=1, help="Score each n-th start.")] = 1,
    horizon: Annotated[int, typer.Option(min=1, max=MAX_STEPS, help="Leads that are rolled out.")] = 1,
    windows: Annotated[
        list[str] | None,
        typer.Option(
            help="Window of steps from 0 to average VRMSE over, such as 6:12 (leads 7 … 12); may be repeated. "
            "Default: The Well's, 6:12 and 13:30, as far as the horizon reaches."
        ),
    ] = None,
    forcing: Annotated[
        Forcing | None, typer.Option(help="What later steps know of external inputs; default: both.")
    ] = None,
    rollouts: Annotated[int, typer.Option(min=1, help="Starts that are rolled out at most.")] = 64,
    drift: Annotated[
        int, typer.Option(min=0, max=MAX_STEPS, help="Steps rolled out beyond the last frames; 0 for none.")
    ] = 100,
    leave_out: Annotated[
        str | None,
        typer.Option(
            metavar="DOMAIN",
            help="Instead of CHECKPOINT: train a network on the other domains, then score it on this one. It is told "
            "what all of them know.",
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="With --leave-out: tiny, small or base.")] = "tiny",
    epochs: Annotated[int | None, typer.Option(min=1, help="With --leave-out: passes over the training part.")] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="With --leave-out: budget of the training, compilation included.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="With --leave-out: root of everything random.")] = 0,
    parallel: ParallelOption = None,
    resource: ResourceOption = None,
    force: Annotated[bool, typer.Option("--force", help="Score again, even if it was done before.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to the workers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Score checkpoints beside the baselines; over several checkpoints the scores are averaged.

    Example: fieldgraph evaluate 9c1e… --horizon 12 --json

    Example: fieldgraph evaluate 9c1e… --horizon 40 --parallel 4 --resource GPU=1

    Example: fieldgraph evaluate --leave-out plasma_physics --seconds 120
    """
    if (leave_out is None) == (not checkpoints) or (leave_out and (detach or sequence or split_role)):
        raise typer.BadParameter(
            "expected checkpoints, or --leave-out DOMAIN without --sequence, --split-role and --detach."
        )
    request = EvaluationRequest(
        checkpoints=tuple(checkpoints or ()),
        sequences=tuple(sequence or ()),
        split_role=split_role.value if split_role else None,
        begin=begin,
        end=end,
        stride=stride,
        horizon=horizon,
        windows=tuple(windows or ()),
        forcing=forcing.value if forcing else None,
        rollouts=rollouts,
        drift=drift,
        parallel=parallel,
        resources=resources_of(resource),
        force=force,
    )
    if leave_out is None:
        result = run(_evaluate(request, detach))
    else:
        training_request = TrainingRequest(
            domain=leave_out, model=model, epochs=epochs, seconds=seconds, seed=seed, force=force
        )
        result = run(_leave_out(training_request, request))
    if result.get("trained_on"):
        console.print(
            f"note: {result['trained_on']} of these frames trained or chose a checkpoint; "
            "--split-role test scores those that did not.",
            soft_wrap=True,
        )
    emit(result, as_json=as_json, text=queued_text(result) if "fidelity" not in result else report(result))


async def _evaluate(request: EvaluationRequest, detach: bool) -> dict[str, Any]:
    async with opened() as services:
        submitted = await submit_evaluation(services, request)
        if detach:
            return queued(submitted)
        return await _scored(services, request, await finish(services, submitted))


async def _leave_out(teaching: TrainingRequest, request: EvaluationRequest) -> dict[str, Any]:
    """Train on the other domains, then score what came of it on the one left out."""
    async with opened() as services:
        trained = await finish(services, await submit_leave_out(services, teaching))
        model = await training.model_of_run(services.gateway, trained.uid)
        # a training that succeeded has both
        assert model is not None
        assert model.best_checkpoint is not None
        scoring = replace(request, checkpoints=(model.best_checkpoint,), left_out=True)
        done = await finish(services, await submit_evaluation(services, scoring))
        split = await splits.split(services.gateway, model.split)
        return {"training": trained.uid, "learnt_from": split.name, **await _scored(services, scoring, done)}


async def _scored(services: Services, request: EvaluationRequest, done: RunRow) -> dict[str, Any]:
    """What the command prints of an evaluation that is done."""
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
