"""`fieldgraph export`: write sequences of the graph to a file that others read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from nvp.errors import FieldError
from resolvers.cli.follow import opened
from resolvers.cli.output import JsonOption, console, emit, fail, run
from resolvers.services.exporting import ExportReport, ExportRequest, check, export_sequences


def command(
    sequences: Annotated[list[str], typer.Argument(metavar="SEQUENCE...", help="Their uids.", show_default=False)],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.", show_default=False)],
    form: Annotated[
        str | None,
        typer.Option("--format", help="well, netcdf, zarr or npz; default: by the suffix (.hdf5 .nc .zarr .npz)."),
    ] = None,
    first: Annotated[int | None, typer.Option(help="t_index of the first frame; default: all.")] = None,
    last: Annotated[int | None, typer.Option(help="t_index of the last frame.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write sequences to a file that others read; `fieldgraph ingest` reads it back as the same frames.

    The Well's HDF5 takes several sequences of one grid, step and length as its trajectories; the others take one.

    Example: fieldgraph export 0b9f2f0e-6f0c-5a39-9a7c-3d1c4d4b6a55 --format well flow.hdf5
    """
    request = ExportRequest(sequences=tuple(sequences), path=file, format=form, first=first, last=last, force=force)
    try:
        check(request)
    except FieldError as error:
        fail(error)
    report = run(_export(request))
    emit(asdict(report), as_json=as_json, text=_summary(report))


async def _export(request: ExportRequest) -> ExportReport:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        async with opened() as services:
            task = bar.add_task("sequences", total=len(request.sequences))
            return await export_sequences(
                services, request, lambda done, total: bar.update(task, completed=done, total=total)
            )


def _summary(report: ExportReport) -> str:
    return (
        f"wrote {report.frames} frames of {len(report.sequences)} sequence(s) of {report.domain} "
        f"({report.height}×{report.width}) to {report.path} ({report.format}, {report.bytes / 1e6:.2f} MB)\n"
        f"Next: fieldgraph ingest {report.path} --domain {report.domain}"
    )
