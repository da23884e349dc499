"""`fieldgraph migrate`: the graph's schema, brought up to date or looked at."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from graph.gateway import Gateway
from graph.settings import Settings
from migrations import runner
from resolvers.cli.output import JsonOption, emit, run


def command(
    status: Annotated[bool, typer.Option("--status", help="Only list what is applied and what is pending.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be applied.")] = False,
    out_of_order: Annotated[
        bool, typer.Option("--out-of-order", help="Apply a pending migration below an applied one.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring the graph's schema up to date. Runs once, however often and by however many it is called.

    Example: fieldgraph migrate --status
    """
    if status:
        result, text = run(_status())
    else:
        result, text = run(_migrate(dry_run=dry_run, out_of_order=out_of_order))
    emit(result, as_json=as_json, text=text)


async def _status() -> tuple[dict[str, Any], str]:
    async with Gateway.open(Settings()) as gateway:
        seen = await runner.status(gateway)
    pending = [{"version": one.version, "description": one.description} for one in seen.pending]
    lines = [f"{one.version}  applied {one.at[:19]}  {one.description}" for one in seen.applied]
    lines += [f"{one['version']}  pending{' ' * 20}  {one['description']}" for one in pending]
    return {"applied": [asdict(one) for one in seen.applied], "pending": pending}, "\n".join(lines)


async def _migrate(*, dry_run: bool, out_of_order: bool) -> tuple[dict[str, Any], str]:
    async with Gateway.open(Settings()) as gateway:
        report = await runner.migrate(gateway, dry_run=dry_run, out_of_order=out_of_order)
    did = "Would apply" if dry_run else "Applied"
    text = f"{did} {', '.join(report.applied)}." if report.applied else f"Up to date ({report.already} migrations)."
    return asdict(report), text
