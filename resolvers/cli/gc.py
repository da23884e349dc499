"""`fieldgraph gc`: remove files that no node names, and checkpoints and shadow ensembles that nothing needs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from resolvers.cli.follow import opened
from resolvers.cli.output import JsonOption, console, emit, run
from resolvers.services.garbage import RETENTION_DAYS, Waste, collect


def command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed; remove nothing.")] = False,
    days: Annotated[
        float,
        typer.Option(
            # a hundred years: Neo4j's `datetime() - duration` turns over where there is no such year
            min=1.0,
            max=36_500.0,
            help="Keep checkpoints that nothing refers to, and shadow ensembles, for so long.",
        ),
    ] = RETENTION_DAYS,
    as_json: JsonOption = False,
) -> None:
    """Remove files of the store that no node names, checkpoints that nothing refers to, and old shadow ensembles.

    What is younger than a day, or may belong to a run that is being worked, stays; so does all that an experiment which
    is certified, or is due to be, looks back on. Of a checkpoint and of an ensemble's run the node stays too, with when
    and by whom its files were removed.

    Example: fieldgraph gc --dry-run --json
    """
    found = run(_collect(dry_run, days))
    counts = Counter(waste.kind for waste in found)
    size = sum(waste.bytes for waste in found)
    result: dict[str, Any] = {
        "dry_run": dry_run,
        "removed": [asdict(waste) for waste in found],
        "counts": dict(counts),
        "bytes": size,
    }
    lines = [f"{waste.kind:10}  {waste.uri}  {waste.bytes} bytes: {waste.why}" for waste in found]
    summary = f"{len(found)} {'to remove' if dry_run else 'removed'}, {size / 2**20:.1f} MiB"
    emit(result, as_json=as_json, text="\n".join([*lines, summary]))


async def _collect(dry_run: bool, days: float) -> list[Waste]:
    columns = TextColumn("{task.description}"), TimeElapsedColumn()
    async with opened() as services:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("looking")

            def progress(what: str, number: int) -> None:
                bar.update(task, description=f"{number} {what}")

            return await collect(services, dry_run=dry_run, days=days, progress=progress)
