"""`fieldgraph generate`: simulate sequences of a domain into the graph."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nvp.dynamics.config import configure
from nvp.errors import FieldError
from resolvers.cli.follow import finish, opened, queued, queued_text
from resolvers.cli.output import JsonOption, emit, fail, run
from resolvers.services.recipes import frames_present, plan
from resolvers.services.submission import GenerationRequest, submit_generation

BYTES_PER_NUMBER = 4


def command(
    domain: Annotated[str, typer.Option(help="Domain with a simulator; another name lists them.")] = "fluid_dynamics",
    sequences: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    steps: Annotated[int | None, typer.Option(min=2, help="Frames of each.")] = None,
    scale: Annotated[int | None, typer.Option(min=8, help="Cells per side, a multiple of 8.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Root of everything random.")] = 0,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Another setting as NAME=NUMBER[,NUMBER]; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be made, and touch nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="A new run, even if it was done before.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to the workers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Simulate sequences of a domain into the graph. The same seed again adds nothing.

    Example: fieldgraph generate --domain fluid_dynamics --sequences 20 --steps 30 --scale 64 --seed 0
    """
    named = {"steps": steps, "scale": scale}
    settings = {name: value for name, value in named.items() if value is not None} | _parsed(setting or [])
    request = GenerationRequest(domain=domain, sequences=sequences, seed=seed, settings=settings, force=force)
    try:
        # bad settings are told now, not by the worker later
        result = _planned(request)
    except FieldError as error:
        fail(error)
    if not dry_run:
        result = run(_generate(request, detach))
    emit(result, as_json=as_json, text=_text(result))


def _planned(request: GenerationRequest) -> dict[str, Any]:
    config = configure(request.domain, request.settings)
    frames = request.sequences * config.steps
    return {
        "domain": request.domain,
        "sequences": [sequence.uid for sequence in plan(request)],
        "frames": frames,
        "energy_bytes": frames * config.height * config.width * BYTES_PER_NUMBER,
        "dry_run": True,
    }


async def _generate(request: GenerationRequest, detach: bool) -> dict[str, Any]:
    planned = plan(request)
    async with opened() as services:
        before = sum([await frames_present(services, request, sequence) for sequence in planned])
        submitted = await submit_generation(services, request)
        if detach:
            return queued(submitted)
        done = await finish(services, submitted)
        after = sum([await frames_present(services, request, sequence) for sequence in planned])
    return {
        "run": done.uid,
        "domain": request.domain,
        "sequences": [sequence.uid for sequence in planned],
        "frames": after,
        "created": after - before,
    }


def _text(result: dict[str, Any]) -> str:
    if "frames" not in result:
        return queued_text(result)
    what = f"{result['frames']} frames in {len(result['sequences'])} sequences of {result['domain']}"
    if result.get("dry_run"):
        return f"would make {what} ({result['energy_bytes'] / 1e6:.1f} MB of energy); nothing was touched"
    said = f"{what}, {result['created']} of them new, by run {result['run']}"
    return f"{said}\nNext: fieldgraph train --domain {result['domain']}"


def _parsed(settings: list[str]) -> dict[str, Any]:
    """`["dt=2", "viscosity=.1,.2"]` as plain values."""
    parsed: dict[str, Any] = {}
    for text in settings:
        name, _, value = text.partition("=")
        try:
            numbers = [float(part) for part in value.split(",")]
        except ValueError:
            raise typer.BadParameter(f"expected NAME=NUMBER or NAME=NUMBER,NUMBER, got {text!r}.") from None
        parsed[name] = numbers[0] if len(numbers) == 1 else numbers
    return parsed
