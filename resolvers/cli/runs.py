"""`fieldgraph runs`: what was asked for, what goes on and how it ended."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from graph.errors import GraphError
from graph.queries import runs
from graph.queries.run_rows import RUN_LABELS, TRANSITIONS
from graph.queries.runs import RunRow
from resolvers.cli.follow import opened
from resolvers.cli.output import JsonOption, emit, fail, run

app = typer.Typer(no_args_is_help=True, help="List, show and cancel runs.", rich_markup_mode=None)

HIDDEN = frozenset({"lease_token", "dedup_key"})  # of use to workers only


@app.command("list")
def list_(
    state: Annotated[str | None, typer.Option(help="QUEUED, LEASED, RUNNING, SUCCEEDED, FAILED or CANCELLED.")] = None,
    kind: Annotated[str | None, typer.Option(help="generation, training, evaluation or prediction.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many, newest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List runs, newest first.

    Example: fieldgraph runs list --state RUNNING
    """
    state = state.upper() if state else None
    _one_of("state", state, tuple(TRANSITIONS))
    _one_of("kind", kind, tuple(RUN_LABELS))
    found = run(_list(state, kind, limit))
    text = "\n".join(_line(row) for row in found) or "no such run"
    emit({"runs": [_shown(row) for row in found]}, as_json=as_json, text=text)


@app.command()
def show(uid: Annotated[str, typer.Argument(metavar="RUN", help="The run.")], as_json: JsonOption = False) -> None:
    """Show one run.

    Example: fieldgraph runs show 019aa5f2-7c1e-7b52-9d0e-1f7a4c2b8e11 --json
    """
    shown = _shown(run(_show(uid)))
    text = "\n".join(f"{name:16} {value}" for name, value in shown.items() if value not in (None, ""))
    emit(shown, as_json=as_json, text=text)


@app.command(short_help="Cancel a run.")
def cancel(uid: Annotated[str, typer.Argument(metavar="RUN", help="The run.")], as_json: JsonOption = False) -> None:
    """Cancel a run: at once where it waits, at its next step where it is worked.

    Example: fieldgraph runs cancel 019aa5f2-7c1e-7b52-9d0e-1f7a4c2b8e11
    """
    row = run(_cancel(uid))
    emit({"run": row.uid, "state": row.state, "cancel_requested": row.cancel_requested}, as_json=as_json)


async def _list(state: str | None, kind: str | None, limit: int) -> list[RunRow]:
    async with opened() as services:
        return await runs.list_runs(services.gateway, state=state, kind=kind, limit=limit)


async def _show(uid: str) -> RunRow:
    async with opened() as services:
        return await runs.run(services.gateway, uid)


async def _cancel(uid: str) -> RunRow:
    async with opened() as services:
        return await runs.request_cancel(services.gateway, uid)


def _shown(row: RunRow) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name not in HIDDEN}


def _line(row: RunRow) -> str:
    """A run in one line, what happened last at its end."""
    attempt = f" (attempt {row.attempt})" if row.attempt > 1 else ""
    return (
        f"{row.uid}  {row.kind:10}  {row.state:9}  {row.progress:4.0%}  {row.error_message or row.message}{attempt}"
    ).rstrip()


def _one_of(what: str, name: str | None, known: tuple[str, ...]) -> None:
    if name is not None and name not in known:
        fail(GraphError(f"BAD_{what.upper()}", f"expected a {what} out of {', '.join(known)}, got {name!r}."))
