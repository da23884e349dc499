"""`fieldgraph audit`: do files, catalog and graph say the same?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from graph.errors import GraphError
from nvp.atlas import catalog
from nvp.atlas.catalog import Defect, Entry
from nvp.errors import FieldError
from resolvers.cli.follow import opened
from resolvers.cli.output import JsonOption, console, emit, fail, run
from resolvers.services.audit import audit_graph
from resolvers.services.repair import repair as mend


def command(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="A folder of maps; default: the store and the graph.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every file and recompute every hash; a folder: against its catalog.")
    ] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended, and say so.")] = False,
    now: Annotated[bool, typer.Option("--now", help="With --repair: delete young orphan files too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Name every file and node that is missing, changed, extra or orphaned; exit code 1 where there is one.

    A folder is read whole; without --verify its catalog.json is written.

    Example: fieldgraph audit --verify --json
    """
    with _bar() as bar:
        task = bar.add_task("audit", total=None)

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total or None)

        if folder is not None:
            result = _folder(folder, verify=verify, repair=repair, progress=progress)
        else:
            result = run(_graph(verify=verify, repair=repair, now=now, progress=progress))
    emit(result, as_json=as_json, text=_text(result))
    if result["defects"]:
        raise typer.Exit(1)


def _folder(root: Path, *, verify: bool, repair: bool, progress: Callable[[str, int, int], None]) -> dict[str, Any]:
    try:
        repaired = [f"deleted {path}" for path in catalog.sweep(root)] if repair else []
        before = catalog.read(root) if verify else None
        total = len(before or ())
        seen = list(catalog.scan(root, progress=lambda done: progress("maps", done, total)))
        entries = [one for one in seen if isinstance(one, Entry)]
        defects = [one for one in seen if isinstance(one, Defect)]
        if before is None:
            stats = catalog.write(root, entries)["stats"]
        else:
            defects = catalog.compare(before, {entry.path: entry for entry in entries}, defects)
            stats = catalog.catalog(entries)["stats"]
    except (FieldError, GraphError) as error:
        fail(error)
    return {
        "checked": {"maps": len(entries)},
        "defects": [asdict(defect) for defect in defects],
        "counts": dict(Counter(defect.kind for defect in defects)),
        "repaired": repaired,
        "total_maps": stats["total_maps"],
        "bytes": stats["total_bytes"],
        "size_mib": stats["total_size_mib"],
        "domains": stats["domains"],
        "catalog": str(root / catalog.NAME),
    }


async def _graph(*, verify: bool, repair: bool, now: bool, progress: Callable[[str, int, int], None]) -> dict[str, Any]:
    async with opened() as services:
        found = await audit_graph(services, verify=verify, progress=progress)
        repaired: list[Defect] = []
        if repair:
            repaired = await mend(services, found, now=now)
        if repaired:
            # what is left is what another look finds
            found = await audit_graph(services, verify=verify, progress=progress)
    return {
        "checked": dict(found.checked),
        "defects": [asdict(defect) for defect in found.defects],
        "counts": found.counts(),
        "repaired": [asdict(defect) for defect in repaired],
    }


def _text(result: dict[str, Any]) -> str:
    lines = [f"{one['kind']}: {one['uri'] or one['uid']}: {one['detail']}" for one in result["defects"]]
    lines += [f"repaired: {one if isinstance(one, str) else one['detail']}" for one in result["repaired"]]
    looked = ", ".join(f"{number} {what}" for what, number in result["checked"].items())
    return "\n".join([*lines, f"{looked or 'nothing'} checked, {len(lines) - len(result['repaired'])} defects"])


def _bar() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
