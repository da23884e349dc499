"""`fieldgraph runs`: what was asked for, what goes on and how it ended, here or on a machine without this graph."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graph.errors import GraphError
from graph.queries import runs
from graph.queries.run_rows import CAPABILITIES, RUN_LABELS, TRANSITIONS
from graph.queries.runs import RunRow
from graph.queries.training import ModelRow, model_of_run
from resolvers.cli import runs_compare, runs_export
from resolvers.cli.follow import opened
from resolvers.cli.output import JsonOption, emit, fail, run

if TYPE_CHECKING:
    from resolvers.services.offline_import import ImportReport

app = typer.Typer(
    no_args_is_help=True, help="List, show, compare, cancel, import and export runs.", rich_markup_mode=None
)

ISO = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
HIDDEN = frozenset({"lease_token", "dedup_key"})  # of use to workers only


@app.command("list")
def list_(
    state: Annotated[str | None, typer.Option(help="QUEUED, LEASED, RUNNING, SUCCEEDED, FAILED or CANCELLED.")] = None,
    kind: Annotated[str | None, typer.Option(help=f"One of {', '.join(RUN_LABELS)}.")] = None,
    capability: Annotated[str | None, typer.Option(help=f"One of {', '.join(CAPABILITIES)}.")] = None,
    parent: Annotated[str | None, typer.Option(metavar="RUN", help="Only those that are part of this run.")] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=ISO, help="Only those asked for at this time (UTC) or later.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many, newest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List runs, newest first.

    Example: fieldgraph runs list --state RUNNING --since 2026-11-21
    """
    state = state.upper() if state else None
    _one_of("state", state, tuple(TRANSITIONS))
    _one_of("kind", kind, tuple(RUN_LABELS))
    _one_of("capability", capability, CAPABILITIES)
    at = None if since is None else since.replace(tzinfo=UTC)
    found = run(_list(state=state, kind=kind, capability=capability, parent=parent, since=at, limit=limit))
    text = "\n".join(_line(row) for row in found) or "no such run"
    emit({"runs": [_shown(row) for row in found]}, as_json=as_json, text=text)


@app.command()
def show(uid: Annotated[str, typer.Argument(metavar="RUN", help="The run.")], as_json: JsonOption = False) -> None:
    """Show one run: what was asked, how it went, what it took, and the runs that it asked for.

    Example: fieldgraph runs show 019aa5f2-7c1e-7b52-9d0e-1f7a4c2b8e11 --json
    """
    row, model, children = run(_show(uid))
    shown, made = _shown(row), {} if model is None else _model(model)
    lines = {**shown, **{f"model {name}": value for name, value in made.items()}}
    said = [f"{name:22} {value}" for name, value in lines.items() if value not in (None, "")]
    said += [f"{'child':22} {_line(child)}" for child in children]
    result = {**shown, "model": made or None, "children": [_shown(child) for child in children]}
    emit(result, as_json=as_json, text="\n".join(said))


@app.command(short_help="Cancel a run.")
def cancel(uid: Annotated[str, typer.Argument(metavar="RUN", help="The run.")], as_json: JsonOption = False) -> None:
    """Cancel a run: at once where it waits, at its next step where it is worked.

    Example: fieldgraph runs cancel 019aa5f2-7c1e-7b52-9d0e-1f7a4c2b8e11
    """
    row = run(_cancel(uid))
    result = {"run": row.uid, "state": row.state, "cancel_requested": row.cancel_requested}
    emit(result, as_json=as_json, text=_cancelled(row))


@app.command("import", short_help="Import a training that happened without this graph.")
def import_(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The bundle that `fieldgraph train --offline` wrote.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Check a bundle to the last byte and record its training, model, checkpoint and epochs. Twice adds nothing.

    The split is linked to the sequences whose frames the graph has; import again after ingesting the others.

    Example: fieldgraph runs import bundle
    """
    report = run(_import(folder))
    emit(asdict(report), as_json=as_json, text=_imported(report))


app.command(short_help="Show two runs side by side.")(runs_compare.compare)
app.command(short_help="Write what runs did to a file that other tools read.")(runs_export.export)


async def _import(folder: Path) -> ImportReport:
    from resolvers.services.bundle import read_manifest
    from resolvers.services.offline_import import import_bundle

    read_manifest(folder)  # before a server is started for nothing
    async with opened() as services:
        return await import_bundle(services, folder)


def _imported(report: ImportReport) -> str:
    """What the graph has now, what it lacks and what to do next."""
    fidelity = "–" if report.val_fidelity is None else f"{report.val_fidelity:.4f}"
    lines = [
        f"{'checkpoint':20} {report.checkpoint}",
        f"{'validation fidelity':20} {fidelity}  ({report.epochs} epochs)",
        f"{'model':20} {report.model}",
        f"{'split':20} {report.split}  (linked to {len(report.linked)} sequences)",
        f"{'run':20} {report.run}",
        f"{'new in the graph':20} {report.created_nodes} nodes, {report.created_relationships} relationships",
    ]
    # one command may bring in many
    for differs, ingest in dict.fromkeys((one.differs, one.ingest) for one in report.absent):
        number = sum((one.differs, one.ingest) == (differs, ingest) for one in report.absent)
        why = "with other frames in the graph" if differs else "not in the graph"
        lines.append(f"{'absent':20} {number} sequence{'s' if number > 1 else ''} {why}: {ingest}")
    after = f"fieldgraph evaluate {report.checkpoint}"
    if report.absent:
        after = "bring the absent sequences in and import again, which links their part of the split"
    return "\n".join([*lines, f"Next: {after}"])


async def _list(**filters: Any) -> list[RunRow]:
    async with opened() as services:
        return await runs.list_runs(services.gateway, **filters)


async def _show(uid: str) -> tuple[RunRow, ModelRow | None, list[RunRow]]:
    """The run, the model that it made where it is a training, and its children."""
    async with opened() as services:
        row = await runs.run(services.gateway, uid)
        model = await model_of_run(services.gateway, uid) if row.kind == "training" else None
        return row, model, await runs.children(services.gateway, uid)


def _cancelled(row: RunRow) -> str:
    """What has become of a run whose cancellation was asked for, in words."""
    said = f"run {row.uid} is {row.state.lower()}"
    if not row.finished:
        return f"{said}; it stops at its next step."
    return f"{said}." if row.state == "CANCELLED" else f"{said}: there was nothing to cancel."


async def _cancel(uid: str) -> RunRow:
    async with opened() as services:
        return await runs.request_cancel(services.gateway, uid)


def _shown(row: RunRow) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name not in HIDDEN}


def _model(row: ModelRow) -> dict[str, Any]:
    """What came of a training, out of what and how."""
    return {
        "uid": row.uid,
        "recipe": row.recipe,
        "data_digest": row.data_digest,
        "code_version": row.code_version,
        "parameters": row.parameter_count,
        "best_checkpoint": row.best_checkpoint,
    }


def _line(row: RunRow) -> str:
    """A run in one line, what happened last at its end."""
    attempt = f" (attempt {row.attempt})" if row.attempt > 1 else ""
    said = f"{row.error_message or row.message}{attempt}"
    return f"{row.uid}  {row.kind:10}  {row.state:9}  {row.progress:4.0%}  {said}".rstrip()


def _one_of(what: str, name: str | None, known: tuple[str, ...]) -> None:
    if name is not None and name not in known:
        fail(GraphError(f"BAD_{what.upper()}", f"expected a {what} out of {', '.join(known)}, got {name!r}."))
