"""`fieldgraph runs`: what was asked for, what goes on and how it ended."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from graph.queries import runs
from graph.queries.runs import RunRow
from resolvers.cli.follow import opened
from resolvers.cli.output import JsonOption, emit, run

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
    found = run(_list(state, kind, limit))
    if as_json:
        emit({"runs": [_shown(row) for row in found]}, as_json=True)
        return
    table = Table(box=None)
    for name in ("run", "kind", "state", "attempt", "progress", "message"):
        table.add_column(name, no_wrap=name == "run")
    for row in found:
        text = row.error_message or row.message
        table.add_row(row.uid, row.kind, row.state, str(row.attempt), f"{row.progress:.0%}", text)
    Console(highlight=False).print(table)


@app.command()
def show(uid: Annotated[str, typer.Argument(help="The run.")], as_json: JsonOption = False) -> None:
    """Show one run.

    Example: fieldgraph runs show 019aa5f2-7c1e-7b52-9d0e-1f7a4c2b8e11 --json
    """
    emit(_shown(run(_show(uid))), as_json=as_json)


@app.command()
def cancel(uid: Annotated[str, typer.Argument(help="The run.")], as_json: JsonOption = False) -> None:
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
