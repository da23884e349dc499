"""`fieldgraph ingest`: take fields from a file into the graph."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nvp.atlas.regrid import Fit
from nvp.errors import FieldError
from resolvers.cli.follow import opened
from resolvers.cli.output import JsonOption, console, emit, fail, run
from resolvers.services.importing import IngestRequest, prepare
from resolvers.services.ingest import IngestReport, ingest_prepared


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="NetCDF, Zarr, .npy or .npz.", show_default=False)],
    domain: Annotated[str, typer.Option(help="What kind of field it is; an unknown name lists the known ones.")],
    variable: Annotated[str | None, typer.Option(help="Variable of the file, where it has several.")] = None,
    crop: Annotated[
        bool, typer.Option("--crop", help="Cut height and width to multiples of 8, in the centre.")
    ] = False,
    regrid: Annotated[bool, typer.Option("--regrid", help="Regrid conservatively to multiples of 8.")] = False,
    append: Annotated[bool, typer.Option("--append", help="Add frames to a sequence that is there.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite frames that differ at the same times.")] = False,
    source: Annotated[str | None, typer.Option(help="Name of the source; default: the file's name.")] = None,
    units: Annotated[str | None, typer.Option(help="Unit, where the file is silent or wrong.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Take fields from a file into the graph. Running it again adds nothing.

    Example: fieldgraph ingest era5_t2m_uk_2019-03.nc --variable t2m --domain surface_temperature --crop
    """
    if crop and regrid:
        fail(FieldError("BAD_OPTIONS", "expected --crop or --regrid, got both.", next_step="Choose one."))
    how: Fit | None = "crop" if crop else "regrid" if regrid else None
    request = IngestRequest(
        path=file, domain=domain, variable=variable, fit=how, append=append, replace=replace, source=source, units=units
    )
    report = run(_ingest(request))
    emit(asdict(report), as_json=as_json, text=_summary(report))


async def _ingest(request: IngestRequest) -> IngestReport:
    # the file first: one that cannot be used must not wait for, or start, a server
    prepared = prepare(request)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        async with opened() as services:
            task = bar.add_task("frames")
            return await ingest_prepared(
                services, prepared, lambda done, total: bar.update(task, completed=done, total=total)
            )


def _summary(report: IngestReport) -> str:
    what = (
        f"sequence {report.sequence} ({report.domain}, source {report.source!r}, {report.height}×{report.width} cells, "
        f"a frame each {report.dt:g} s)"
    )
    if report.created == 0:
        return f"nothing new: all {report.frames} frames are in {what}"
    said = f"{report.created} of {report.frames} frames are new in {what}"
    return f"{said}\nNext: fieldgraph train --domain {report.domain}"
