"""`fieldgraph generate`: simulate or perturb sequences, into the graph, into a folder, or for their figures alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from nvp.dynamics.kinds import Kind, domains
from nvp.dynamics.perturbed_config import SEEDS_SEQUENCES
from nvp.errors import FieldError
from resolvers.benches.machine import machine
from resolvers.cli.follow import finish, opened, queued, queued_text
from resolvers.cli.output import JsonOption, console, emit, fail, run
from resolvers.cli.parallel import ParallelOption, ResourceOption, resources_of
from resolvers.services.recipes import configuration, frames_present, plan
from resolvers.services.samples import ensure_samples
from resolvers.services.submission import GenerationRequest, submit_generation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from resolvers.services.generated import Judged
    from resolvers.services.generated import Progress as Told

BYTES_PER_NUMBER = 4
SEQUENCES = 20
FIRST = "fluid_dynamics"


class KindOption(StrEnum):
    """How sequences come about."""

    PDE = "pde"
    PERTURBATION = "perturbation"


def command(
    domain: Annotated[
        str | None, typer.Option(help=f"Domain; another name lists them. Default: {FIRST}.", show_default=False)
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All domains, and their figures judged.")] = False,
    kind: Annotated[
        KindOption, typer.Option(help="Solve the domain's equations, or perturb a pattern from step to step.")
    ] = KindOption.PDE,
    preset: Annotated[
        str | None, typer.Option(help="A grid with a name: native (pde), seeds (perturbation: 5 × 5 × 10 of 256²).")
    ] = None,
    sequences: Annotated[
        int | None, typer.Option(min=1, help=f"How many of each domain. Default: {SEQUENCES}.", show_default=False)
    ] = None,
    steps: Annotated[int | None, typer.Option(min=2, help="Frames of each.")] = None,
    scale: Annotated[int | None, typer.Option(min=8, help="Cells per side, a multiple of 8.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Root of everything random.")] = 0,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Another setting as NAME=VALUE[,VALUE]; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write a folder atlas instead of the graph.", file_okay=False)
    ] = None,
    fill: Annotated[
        bool, typer.Option("--fill", help="Only where a domain has fewer than 1,000 observed frames, and up to that.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compute and judge; write nothing, need no database.")
    ] = False,
    planned: Annotated[
        bool, typer.Option("--plan", help="Say what would be made; compute nothing, write nothing.")
    ] = False,
    parallel: ParallelOption = None,
    resource: ResourceOption = None,
    force: Annotated[bool, typer.Option("--force", help="A new run, even if it was done before.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to the workers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Generate sequences of a domain, and say what they are like. The same seed again adds nothing.

    With --all or --dry-run the figures are judged (first-law residual < 1e-5, persistence VRMSE >= 0.2, fidelity of
    linear extrapolation <= 0.5): exit code 1 where a domain misses one.

    Example: fieldgraph generate --kind pde --all --sequences 5 --steps 50 --scale 64 --dry-run --json

    Example: fieldgraph generate --domain plasma_physics --sequences 40 --parallel 8
    """
    no_run = {"--out": out, "--fill": fill, "--dry-run": dry_run, "--plan": planned}
    try:
        _refuse_together(
            {**no_run, "--detach": detach},
            {"--domain": domain, "--all": every},
            *({"--parallel": parallel, name: value} for name, value in no_run.items()),
        )
        settings = {name: value for name, value in {"steps": steps, "scale": scale}.items() if value is not None}
        requests = _requests(
            kind.value,
            domain,
            every,
            preset,
            sequences,
            seed=seed,
            settings=settings | _parsed(setting or []),
            parallel=parallel,
            resources=resources_of(resource),
            force=force,
        )
        # bad settings are told now, not by the worker later
        for request in requests:
            configuration(request)
        if planned:
            result = _planned(requests)
            emit(result, as_json=as_json, text=_plan_text(result))
            return
        judged: Judged | None
        if dry_run or out is not None:
            judged = _offline(requests, out)
            result = _result(requests, judged)
        elif fill:
            result = run(_fill(requests, detach))
            emit(result, as_json=as_json, text=_fill_text(result))
            return
        else:
            result, judged = run(_generate(requests, detach))
    except FieldError as error:
        fail(error)
    emit(result, as_json=as_json, text=_text(result, out))
    if judged is not None and judged.missed:
        for name, said in judged.missed.items():
            for criterion in said:
                console.print(f"{name}: {criterion}.", style="red", soft_wrap=True, markup=False)
        if every or dry_run:
            raise typer.Exit(1)


def _requests(
    kind: Kind,
    domain: str | None,
    every: bool,
    preset: str | None,
    sequences: int | None,
    *,
    seed: int,
    settings: Mapping[str, Any],
    **how: Any,
) -> list[GenerationRequest]:
    """One request per domain; the preset of the seeds means all of theirs."""
    seeds = kind == "perturbation" and preset is not None
    if preset is not None:
        domains(kind, preset)
    names = [domain or FIRST] if domain or not (every or seeds) else domains(kind, preset)
    count = sequences or (SEEDS_SEQUENCES if seeds else SEQUENCES)
    return [
        GenerationRequest(domain=name, kind=kind, preset=preset, sequences=count, seed=seed, settings=settings, **how)
        for name in names
    ]


def _planned(requests: Sequence[GenerationRequest]) -> dict[str, Any]:
    said = {}
    for request in requests:
        config = configuration(request)
        frames = request.sequences * config.steps
        said[request.domain] = {
            "sequences": [sequence.uid for sequence in plan(request)],
            "frames": frames,
            "energy_bytes": frames * config.height * config.width * BYTES_PER_NUMBER,
        }
    return {"domains": said, "seed": requests[0].seed, "kind": requests[0].kind, "plan": True}


def _offline(requests: Sequence[GenerationRequest], out: Path | None) -> Judged:
    """Make all sequences here and now, for the figures and perhaps for a folder."""
    from resolvers.services.generated import Judged, simulate, write_folder  # JAX

    judged = Judged()
    with _bar() as bar:
        for request in requests:
            told = bar(request)
            figures, seconds = simulate(request, told) if out is None else write_folder(request, out, told)
            judged.add(request, figures, seconds=seconds)
    return judged


async def _generate(requests: Sequence[GenerationRequest], detach: bool) -> tuple[dict[str, Any], Judged | None]:
    """Into the graph, one run per domain."""
    from resolvers.services.generated import Judged, stored

    judged, more = Judged(), {}
    async with opened() as services:
        if detach:
            runs = {request.domain: queued(await submit_generation(services, request)) for request in requests}
            # of one domain as every command that leaves its run to the workers
            return (next(iter(runs.values())) if len(runs) == 1 else {"domains": runs}), None
        for request in requests:
            planned = plan(request)
            before = sum([await frames_present(services, request, sequence) for sequence in planned])
            done = await finish(services, await submit_generation(services, request))
            after = sum([await frames_present(services, request, sequence) for sequence in planned])
            took = (done.finished_at - done.started_at).total_seconds() if done.finished_at and done.started_at else 0.0
            judged.add(request, await stored(services, request, planned), seconds=took)
            more[request.domain] = {
                "run": done.uid,
                "sequences": [sequence.uid for sequence in planned],
                "frames": after,
                "created": after - before,
            }
    return _result(requests, judged, more), judged


async def _fill(requests: Sequence[GenerationRequest], detach: bool) -> dict[str, Any]:
    """Simulated sequences where too little was observed."""
    filled = {}
    async with opened() as services:
        for request in requests:
            samples = await ensure_samples(
                services,
                request.domain,
                kind=request.kind,
                preset=request.preset,
                seed=request.seed,
                settings=request.settings,
            )
            if samples.run is not None and not detach:
                await finish(services, samples.run)
            filled[request.domain] = {
                "observed": samples.observed,
                "simulated": samples.simulated,
                "sequences": samples.sequences,
                "run": None if samples.run is None else samples.run.uid,
                "message": samples.message,
            }
    return {"domains": filled}


def _result(
    requests: Sequence[GenerationRequest], judged: Judged, more: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """The report; of one domain that is in the graph, its run and frames are at the top as well."""
    head, more = requests[0], more or {}
    said = {name: {**figures, **more.get(name, {})} for name, figures in judged.domains.items()}
    top = {"domain": head.domain, **more[head.domain]} if len(requests) == 1 and more else {}
    return {
        **top,
        "domains": said,
        "missed": judged.missed,
        "n": head.sequences,
        "seed": head.seed,
        "kind": head.kind,
        "preset": head.preset,
        **machine(),
    }


def _text(result: Mapping[str, Any], out: Path | None) -> str:
    if "domains" not in result:
        return queued_text(dict(result))
    if any("state" in figures for figures in result["domains"].values()):
        return "\n".join(queued_text(figures) for figures in result["domains"].values())
    width = max(len(name) for name in result["domains"])
    columns = ("first_law_residual", "persistence_vrmse", "linear_fidelity", "second_law_rate", "seconds")
    lines = [f"{'':{width}}  " + "  ".join(f"{name:>18}" for name in columns)]
    for name, figures in result["domains"].items():
        lines.append(f"{name:{width}}  " + "  ".join(f"{_number(figures[column]):>18}" for column in columns))
    for name, figures in result["domains"].items():
        if "run" in figures:
            said = f"{figures['frames']} frames in {len(figures['sequences'])} sequences of {name}"
            lines.append(f"{said}, {figures['created']} of them new, by run {figures['run']}")
    if "run" in result:
        lines.append(f"Next: fieldgraph train --domain {result['domain']}")
    elif out is not None:
        lines.append(f"Next: fieldgraph audit {out}")
    return "\n".join(lines)


def _plan_text(result: Mapping[str, Any]) -> str:
    return "\n".join(
        f"would make {said['frames']} frames in {len(said['sequences'])} sequences of {name} "
        f"({said['energy_bytes'] / 1e6:.1f} MB of energy); nothing was touched"
        for name, said in result["domains"].items()
    )


def _fill_text(result: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}: {said['message']}" for name, said in result["domains"].items())


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _refuse_together(*groups: Mapping[str, Any]) -> None:
    """Of each of these groups one at most: where the data go, of which domains, and what no worker does."""
    for options in groups:
        if len(given := [name for name, value in options.items() if value]) > 1:
            if set(given) == {"--fill", "--detach"}:
                continue
            raise FieldError(
                "BAD_OPTIONS",
                f"expected one of {', '.join(given)}, got them together.",
                next_step="Leave out the others.",
            )


@contextmanager
def _bar() -> Iterator[Any]:
    """A progress bar over the sequences of each domain."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def begin(request: GenerationRequest) -> Told:
            line = progress.add_task(request.domain, total=request.sequences)
            return lambda done, total: progress.update(line, completed=done, total=total)

        yield begin


def _parsed(settings: Sequence[str]) -> dict[str, Any]:
    """`["dt=2", "viscosity=.1,.2", "boundary=reflect"]` as plain values."""
    parsed: dict[str, Any] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise FieldError("BAD_SETTING", f"expected NAME=VALUE or NAME=VALUE,VALUE, got {text!r}.")
        values = [_value(part) for part in value.split(",")]
        parsed[name] = values[0] if len(values) == 1 else values
    return parsed


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
