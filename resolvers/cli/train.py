"""`fieldgraph train`: train a predictor of the next field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any

import typer

from graph.errors import GraphError
from graph.queries import leaks, training
from nvp.errors import FieldError
from resolvers.cli.follow import finish, opened, queued, queued_text
from resolvers.cli.output import JsonOption, console, emit, fail, run
from resolvers.services.context import Services
from resolvers.services.samples import ensure_samples
from resolvers.services.submission import TrainingRequest, submit_training


class Size(StrEnum):
    """Which predictor."""

    RIDGE = "ridge"
    TINY = "tiny"
    SMALL = "small"
    BASE = "base"


class Fallback(StrEnum):
    """What to learn from where too little was observed."""

    SIMULATE = "simulate"


class SplitKind(StrEnum):
    """How frames are divided into training, validation and test."""

    SEQUENCE = "sequence"
    BLOCK = "block"


def command(
    domain: Annotated[str | None, typer.Option(help="Train on all sequences of this domain.")] = None,
    sequence: Annotated[list[str] | None, typer.Option(help="Train on this sequence; may be repeated.")] = None,
    model: Annotated[
        Size, typer.Option(help="ridge, or a network of 0.15 M (tiny), 1 M (small) or 8.5 M (base) parameters.")
    ] = Size.TINY,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training part.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="Budget, compilation included.")] = None,
    history: Annotated[int | None, typer.Option(min=1, max=4, help="Frames that the model sees.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Root of everything random.")] = 0,
    split: Annotated[
        SplitKind | None,
        typer.Option(help="Whole sequences or blocks of time; default: sequences where there are three or more."),
    ] = None,
    gap: Annotated[
        int | None,
        typer.Option(min=0, help="Frames left out between blocks; default: a day where there is a calendar."),
    ] = None,
    fallback: Annotated[
        Fallback | None,
        typer.Option(help="Below 1,000 observed frames of the domain: simulate as many, and train on those alone."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Train again, even if it was done before.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to the workers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a predictor. The same command again finds the finished training, or goes on with an interrupted one.

    Example: fieldgraph train --domain fluid_dynamics --model tiny --seconds 120
    """
    request = TrainingRequest(
        domain=domain,
        sequences=tuple(sequence or ()),
        model=model.value,
        epochs=epochs,
        seconds=seconds,
        history=history,
        seed=seed,
        split=split.value if split else None,
        gap=gap,
        force=force,
    )
    if fallback is not None and (domain is None or sequence or detach):
        fail(
            FieldError(
                "BAD_OPTIONS",
                "expected --fallback with --domain, and without --sequence and --detach.",
                next_step="Simulate first (`fieldgraph generate --fill --detach`).",
            )
        )
    result = run(_train(request, detach, fallback))
    emit(result, as_json=as_json, text=_text(result))


async def _train(request: TrainingRequest, detach: bool, fallback: Fallback | None) -> dict[str, Any]:
    async with opened() as services:
        if fallback is not None and request.domain is not None:
            samples = await ensure_samples(services, request.domain)
            console.print(f"{samples.message}.", soft_wrap=True, markup=False)
            if samples.run is not None:
                await finish(services, samples.run)
            request = replace(request, sequences=samples.sequences)
        submitted = await submit_training(services, request)
        await _warn_of_leaks(services, submitted.config["split"])
        if detach:
            return queued(submitted)
        done = await finish(services, submitted)
        made = await training.model_of_run(services.gateway, done.uid)
        if made is None or made.best_checkpoint is None:
            raise GraphError("NO_MODEL", f"expected a model of run {done.uid}, got none.")
        best = await training.checkpoint(services.gateway, made.best_checkpoint)
        if (line := _warning_of_haste(best.step, done.config)) is not None:
            console.print(line, style="yellow", soft_wrap=True, markup=False)
        return {
            "run": done.uid,
            "attempt": done.attempt,
            "model": made.uid,
            "parameters": made.parameter_count,
            "split": made.split,
            "checkpoint": best.uid,
            "epoch": best.epoch,
            "step": best.step,
            "val_fidelity": best.val_fidelity,
        }


async def _warn_of_leaks(services: Services, split: str) -> None:
    """One line where something stands in two roles: the scores will flatter."""
    if found := await leaks.leaks(services.gateway, split, limit=1):
        line = f"warning: split {split} leaks ({found[0]}); more by `{{ split(uid: …) {{ leaks {{ message }} }} }}`."
        console.print(line, style="yellow", soft_wrap=True, markup=False)


def _warning_of_haste(step: int, config: Mapping[str, Any]) -> str | None:
    """One line where compilation took the budget: such a checkpoint has learned nothing yet."""
    seconds = config["seconds"]
    # ridge is solved at once
    if config["model"] == "ridge" or seconds is None or step > 1:
        return None
    return (
        f"warning: the best checkpoint has {step} step behind it, of {seconds:g} s with compilation; raise --seconds."
    )


def _text(result: dict[str, Any]) -> str:
    """What came of it and what to do with it."""
    if "checkpoint" not in result:
        return queued_text(result)
    fidelity = "–" if result["val_fidelity"] is None else f"{result['val_fidelity']:.4f}"
    return "\n".join(
        (
            f"{'checkpoint':20} {result['checkpoint']}",
            f"{'validation fidelity':20} {fidelity}  (epoch {result['epoch']}, step {result['step']})",
            f"{'model':20} {result['model']}  ({result['parameters']} parameters)",
            f"{'split':20} {result['split']}",
            f"{'run':20} {result['run']}  (attempt {result['attempt']})",
            f"Next: fieldgraph evaluate {result['checkpoint']}",
        )
    )
