"""`fieldgraph plot`: pictures of a sequence, a file or a prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from graph.queries.newest import newest_sequence
from nvp.atlas.formats.importers import Wanted
from nvp.errors import FieldError
from resolvers.cli.follow import opened
from resolvers.cli.output import JsonOption, console, emit, run


class What(StrEnum):
    """Kinds of pictures."""

    FILM = "film"
    SPECTRUM = "spectrum"
    BUDGET = "budget"
    ENTROPY = "entropy"
    ALL = "all"


def command(
    sequence: Annotated[
        str | None,
        typer.Argument(metavar="SEQUENCE", help="A sequence, or a file that `ingest` takes: it needs no database."),
    ] = None,
    domain: Annotated[str | None, typer.Option(help="Newest sequence of this domain; of a file, its domain.")] = None,
    prediction: Annotated[str | None, typer.Option(help="Truth, prediction and error of this prediction.")] = None,
    what: Annotated[What, typer.Option(help="What to draw.")] = What.FILM,
    out: Annotated[
        Path | None, typer.Option(help="Where: .png, or .gif or .mp4 for a film that moves. Default: a .png here.")
    ] = None,
    first: Annotated[int | None, typer.Option(help="First frame: t_index, in a file from 0; or lead.")] = None,
    last: Annotated[int | None, typer.Option(help="Last frame, inclusive.")] = None,
    every: Annotated[int | None, typer.Option(min=1, help="Each n-th frame, of films and spectra.")] = None,
    context: Annotated[
        list[str] | None, typer.Option(help="Context field to show beside E, such as velocity; may be repeated.")
    ] = None,
    variable: Annotated[str | None, typer.Option(help="Variable of a file, where it has several.")] = None,
    energy: Annotated[str | None, typer.Option(help="Form a file's field by a recipe, as `ingest` does.")] = None,
    trajectory: Annotated[int | None, typer.Option(help="Trajectory of a file of The Well, from 0.")] = None,
    fps: Annotated[float, typer.Option(min=0.1, max=50, help="Frames per second of what moves.")] = 8.0,
    as_json: JsonOption = False,
) -> None:
    """Draw a film strip, spectrum, energy budget or entropy over time.

    Example: fieldgraph plot --domain fluid_dynamics --what all
    """
    # matplotlib takes a second to import, which only its own command should cost
    from resolvers.services import plotting

    kinds: Sequence[plotting.What] = plotting.WHAT if what is What.ALL else (what.value,)  # type: ignore[assignment]
    path = None if sequence is None or not _is_file(sequence) else Path(sequence)
    frames = plotting.Frames(first=first, last=last, every=every)
    chosen = [name for name, given in (("SEQUENCE", sequence), ("--prediction", prediction)) if given is not None]
    if path is None and domain is not None:
        chosen.append("--domain")

    async def shown() -> plotting.Shown:
        if path is not None:
            wanted = Wanted(variable=variable, energy=energy, trajectory=trajectory)
            return plotting.from_file(path, frames, wanted=wanted, name=domain, context=context or ())
        async with opened() as services:
            if prediction is not None:
                return await plotting.from_prediction(services, prediction, frames)
            uid = sequence or await newest_sequence(services.gateway, domain or "")
            return await plotting.from_sequence(services, uid, frames, context=context or ())

    async def work() -> dict[str, Any]:
        if len(chosen) != 1:
            raise FieldError(
                "BAD_OPTIONS",
                f"expected one of SEQUENCE, --domain and --prediction, got {' and '.join(chosen) or 'none'}.",
                next_step="Give one.",
            )
        plotting.check_output(out, kinds)
        found = await shown()
        for line in found.said:
            console.print(f"note: {line}", soft_wrap=True, markup=False)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("frames", visible=False)
            made = plotting.draw(
                found,
                plotting.suited(found, kinds),
                out,
                fps=fps,
                progress=lambda done, total: bar.update(task, completed=done, total=total, visible=True),
            )
        return {"title": found.title, "domain": found.spec.name, "pictures": [asdict(one) for one in made]}

    result = run(work())
    emit(result, as_json=as_json, text="\n".join(f"{one['what']}: {one['path']}" for one in result["pictures"]))


def _is_file(text: str) -> bool:
    """Whether it is meant as a path: uids have neither dots nor slashes."""
    return "." in text or "/" in text or Path(text).exists()
