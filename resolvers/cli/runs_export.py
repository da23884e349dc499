"""`fieldgraph runs export`: what runs did, as a document that other tools read."""

from __future__ import annotations

import secrets
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from graph.errors import GraphError
from graph.queries import runs
from graph.queries.provenance import Provenance, provenance
from resolvers.ace.words import counted
from resolvers.cli.follow import opened
from resolvers.cli.output import JsonOption, console, emit, fail, run
from resolvers.services.prov import document

PAGE = 100


def export(
    uid: Annotated[str | None, typer.Argument(metavar="[RUN]", help="One run.", show_default=False)] = None,
    prov: Annotated[
        Path | None, typer.Option(help="Write W3C PROV to this file, as PROV-JSON.", show_default=False)
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every run of the graph, newest first.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write what a run used, made and derived, by what code and plan, to a file that other tools read.

    One PROV bundle per run; names are those of the graph, so that documents can be joined.

    Example: fieldgraph runs export 019aa5f2-7c1e-7b52-9d0e-1f7a4c2b8e11 --prov run.json
    """
    if (uid is None) != all_:
        fail(GraphError("BAD_EXPORT", "expected one run or --all, got both or neither."))
    if prov is None:
        fail(GraphError("BAD_EXPORT", "expected a file to write, got none.", next_step="Name it with --prov FILE."))
    if prov.exists() and not force:
        again = "Name another, or use --force."
        fail(GraphError("FILE_EXISTS", f"expected no file at {prov}, got one.", next_step=again))
    if not prov.parent.is_dir():
        fail(GraphError("NO_FOLDER", f"expected a folder {prov.parent}, got none.", next_step="Make it first."))
    found = document(run(_records(uid)))
    content = orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n"
    _write(prov, content)
    said = {"file": str(prov), "bytes": len(content), **_counts(found)}
    what = f"{counted(said['runs'], 'run')} with {counted(said['records'], 'record')}"
    text = f"wrote {what} to {prov} ({len(content) / 1e6:.2f} MB)"
    emit(said, as_json=as_json, text=text)


async def _records(uid: str | None) -> list[Provenance]:
    columns = TextColumn("{task.description}"), TextColumn("{task.completed} runs"), TimeElapsedColumn()
    records: list[Provenance] = []
    async with opened() as services:
        if uid is not None:
            return [await provenance(services.gateway, uid)]
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            line = bar.add_task("export", total=None)
            after: str | None = None
            while page := await runs.list_runs(services.gateway, limit=PAGE, after=after):
                for row in page:
                    records.append(await provenance(services.gateway, row.uid))
                    bar.advance(line)
                after = page[-1].uid
    return records


def _write(path: Path, content: bytes) -> None:
    """The file, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _counts(found: dict[str, Any]) -> dict[str, Any]:
    """How many runs and records of each kind there are."""
    kinds = Counter[str]()
    for records in found["bundle"].values():
        kinds.update({kind: len(named) for kind, named in records.items()})
    return {"runs": len(found["bundle"]), "records": sum(kinds.values()), "by_kind": dict(sorted(kinds.items()))}
