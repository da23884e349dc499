"""`fieldgraph train`: train a predictor of the next field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from graph.errors import GraphError
from graph.queries import leaks, splits, timeline, training
from graph.settings import Settings
from nvp.errors import FieldError
from nvp.prediction import cache
from resolvers.cli.criteria import Criteria, judged
from resolvers.cli.follow import finish, opened, queued, queued_text
from resolvers.cli.output import JsonOption, console, emit, fail, run
from resolvers.services.context import Services
from resolvers.services.samples import ensure_samples
from resolvers.services.settings import parse_settings
from resolvers.services.submission import (
    EvaluationRequest,
    TrainingRequest,
    check_training,
    submit_evaluation,
    submit_training,
)


class Size(StrEnum):
    """Which predictor."""

    RIDGE = "ridge"
    TINY = "tiny"
    SMALL = "small"
    BASE = "base"
    LITERAL = "literal"


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
        Size,
        typer.Option(
            help="ridge, or a network of 0.15 M (tiny), 1 M (small) or 8.5 M (base) parameters, or the seeds' literal "
            "layout, which is tied to its grid."
        ),
    ] = Size.TINY,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training part.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Examples per step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Largest learning rate.")] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="Budget, compilation included.")] = None,
    cpu_seconds: Annotated[
        float | None, typer.Option(min=1, help="Budget of processor time, compilation apart.")
    ] = None,
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
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting of the training as NAME=VALUE; may be repeated."),
    ] = None,
    fallback: Annotated[
        Fallback | None,
        typer.Option(help="Below 1,000 observed frames of the domain: simulate as many, and train on those alone."),
    ] = None,
    criteria: Annotated[
        bool, typer.Option("--criteria", help="Score it on the test part and judge; exit code 1 where it misses.")
    ] = False,
    offline: Annotated[
        Path | None,
        typer.Option(help="Train without a graph and leave a bundle in this folder.", file_okay=False),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Offline: a file to train on, or the folder of an atlas; may be repeated."),
    ] = None,
    variable: Annotated[str | None, typer.Option(help="Offline: variable of the files.")] = None,
    units: Annotated[str | None, typer.Option(help="Offline: unit, where the files are silent.")] = None,
    crop: Annotated[bool, typer.Option("--crop", help="Offline: cut the sides to multiples of 8.")] = False,
    regrid: Annotated[bool, typer.Option("--regrid", help="Offline: regrid to multiples of 8.")] = False,
    simulate: Annotated[
        int | None,
        typer.Option(min=1, help="Offline: simulate so many sequences of the domain instead of reading files."),
    ] = None,
    simulation: Annotated[
        list[str] | None, typer.Option(help="Offline: a setting of the simulator as NAME=VALUE; may be repeated.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Train again, even if it was done before.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to the workers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train a predictor. The same command again finds the finished training, or goes on with an interrupted one.

    Example: fieldgraph train --domain fluid_dynamics --epochs 20 --batch-size 8 --lr 1e-3 --criteria

    Example: fieldgraph train --offline bundle --domain surface_temperature --data era5_t2m_uk_2019-03.nc --crop
    """
    try:
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
            settings=_settings(setting or [], {"batch": batch_size, "learning_rate": lr, "cpu_seconds": cpu_seconds}),
            force=force,
        )
        _check_options(
            {
                "--data": data,
                "--simulate": simulate,
                "--variable": variable,
                "--units": units,
                "--crop": crop,
                "--regrid": regrid,
                "--simulation": simulation,
            },
            {"--sequence": sequence, "--fallback": fallback, "--detach": detach, "--force": force},
            offline=offline is not None,
        )
        check_training(request)  # before anything is started
        if fallback is not None and (domain is None or sequence or detach):
            raise FieldError(
                "BAD_OPTIONS",
                "expected --fallback with --domain, and without --sequence and --detach.",
                next_step="Simulate first (`fieldgraph generate --fill --detach`).",
            )
        if criteria and detach:
            raise FieldError(
                "BAD_OPTIONS", "expected --criteria or --detach, got both.", next_step="Evaluate it when it has ended."
            )
        if offline is not None:
            cache.use(Settings().cache)
            from resolvers.cli import train_offline

            found = train_offline.sources(
                request,
                data or [],
                offline,
                variable=variable,
                units=units,
                crop=crop,
                regrid=regrid,
                simulate=simulate,
                simulation=parse_settings(simulation or []),
            )
            result, met = train_offline.train(request, found, offline, criteria=criteria)
            emit(result, as_json=as_json, text=train_offline.text(result))
        else:
            result, met = run(_train(request, detach, fallback, criteria))
            emit(result, as_json=as_json, text=_text(result))
    except (FieldError, GraphError) as error:
        fail(error)
    if met is not None:
        console.print(met.text(), soft_wrap=True, markup=False, style=None if met.met else "red")
        raise typer.Exit(0 if met.met else 1)


async def _train(
    request: TrainingRequest, detach: bool, fallback: Fallback | None, criteria: bool
) -> tuple[dict[str, Any], Criteria | None]:
    async with opened() as services:
        if fallback is not None and request.domain is not None:
            samples = await ensure_samples(services, request.domain)
            console.print(f"{samples.message}.", soft_wrap=True, markup=False)
            if samples.run is not None:
                await finish(services, samples.run)
            request = replace(request, sequences=samples.sequences)
        submitted = await submit_training(services, request)
        await _say_shapes(services, submitted.config["split"])
        await _warn_of_leaks(services, submitted.config["split"])
        if detach:
            return queued(submitted), None
        done = await finish(services, submitted)
        made = await training.model_of_run(services.gateway, done.uid)
        if made is None or made.best_checkpoint is None:
            raise GraphError("NO_MODEL", f"expected a model of run {done.uid}, got none.")
        best = await training.checkpoint(services.gateway, made.best_checkpoint)
        if (line := _warning_of_haste(best.step, done.config)) is not None:
            console.print(line, style="yellow", soft_wrap=True, markup=False)
        result = {
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
        if not criteria:
            return result, None
        met = await _judge(services, best.uid)
        return {**result, "criteria": met.to_json()}, met


async def _judge(services: Services, checkpoint: str) -> Criteria:
    """The checkpoint's scores on the test part, which are recorded as an evaluation."""
    from graph.queries import evaluation

    done = await finish(services, await submit_evaluation(services, EvaluationRequest(checkpoints=(checkpoint,))))
    (scored,) = await evaluation.evaluations_of_run(services.gateway, done.uid)
    return judged(scored.scores)


async def _say_shapes(services: Services, split_uid: str) -> None:
    """What it will learn from, in one line on stderr."""
    split = await splits.split(services.gateway, split_uid)
    parts = {role: split.of(role) for role in ("train", "val", "test")}
    row = await timeline.sequence(services.gateway, split.parts[0].sequence)
    counted = {role: sum(part.last - part.first + 1 for part in parts[role]) for role in parts}
    sequences = len({part.sequence for part in split.parts})
    console.print(shapes(row.domain, sequences, (row.height, row.width), counted), soft_wrap=True, markup=False)


def shapes(domain: str, sequences: int, grid: tuple[int, int], frames: Mapping[str, int]) -> str:
    """The line that says what is trained on."""
    counts = ", ".join(f"{role} {count}" for role, count in frames.items())
    return f"{domain}: {sequences} sequences of {grid[0]}×{grid[1]}; frames: {counts}"


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


def _settings(texts: list[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by --set, and those that have an option."""
    made = parse_settings(texts)
    for name, value in options.items():
        if value is not None:
            if name in made:
                raise FieldError("BAD_SETTING", f"expected {name} once, got it by --set and by an option.")
            made[name] = value
    return made


def _check_options(only_offline: Mapping[str, Any], only_online: Mapping[str, Any], *, offline: bool) -> None:
    """Options that mean nothing here are refused, not ignored."""
    wrong = [name for name, value in (only_online if offline else only_offline).items() if value]
    if wrong:
        where = "without --offline" if offline else "with --offline"  # where they belong
        raise FieldError(
            "BAD_OPTIONS", f"expected {', '.join(wrong)} {where} only.", next_step="See `fieldgraph train --help`."
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
