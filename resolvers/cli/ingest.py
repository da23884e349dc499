"""`fieldgraph ingest`: take fields from a file into the graph."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nvp.atlas.regrid import Fit
from nvp.errors import FieldError
from resolvers.cli.follow import opened
from resolvers.cli.output import JsonOption, console, emit, fail, run
from resolvers.services.importing import IngestRequest, Prepared, each, prepare
from resolvers.services.ingest import IngestReport, ingest_prepared

FORMATS = "NetCDF, Zarr, HDF5 (The Well's or any), GRIB, .npy (with a .json beside it) or .npz."


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=FORMATS, show_default=False)],
    domain: Annotated[str, typer.Option(help="What kind of field it is; an unknown name lists the known ones.")],
    variable: Annotated[
        str | None, typer.Option(help="Variable of the file, where it has several; in HDF5 a path as /run/energy.")
    ] = None,
    energy: Annotated[
        str | None,
        typer.Option(
            help='Form the field from variables, as "kinetic = 0.5*(u**2 + v**2)": numbers, names, + - * / **, '
            "brackets and sqrt abs exp log min max; odd names in `backticks`. Its unit: --units."
        ),
    ] = None,
    context: Annotated[str | None, typer.Option(help="Variables to keep beside the field, as T,q.")] = None,
    velocity: Annotated[
        str | None,
        typer.Option(help="Variables that are the velocity along x and y, as u,v; kept in cells per unit time."),
    ] = None,
    dx: Annotated[
        float | None,
        typer.Option(
            help="Distance between columns in the velocity's unit of length; default: the file's coordinates."
        ),
    ] = None,
    dy: Annotated[float | None, typer.Option(help="The same between rows; negative where y falls.")] = None,
    dt: Annotated[float | None, typer.Option(help="Step between frames, where the file has no times.")] = None,
    axes: Annotated[str | None, typer.Option(help="Order of an HDF5 dataset's axes, as t,y,x.")] = None,
    trajectory: Annotated[
        int | None, typer.Option(help="Trajectory of a file of The Well, from 0; default: all, a sequence each.")
    ] = None,
    any_boundaries: Annotated[
        bool, typer.Option("--any-boundaries", help="Take a file of The Well whose boundaries are not the domain's.")
    ] = False,
    fill_absent: Annotated[
        bool, typer.Option("--fill-absent", help="Zarr: chunks that are absent mean the fill value.")
    ] = False,
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

    Example: fieldgraph ingest flow.nc --domain fluid_dynamics --energy "kinetic = 0.5*(u**2 + v**2)" --velocity u,v
    --units 1

    Example: fieldgraph ingest turbulent_radiative_layer_tcool_0.10.hdf5 --variable density --trajectory 3
    --domain turbulent_radiative_layer --units 1
    """
    if crop and regrid:
        fail(FieldError("BAD_OPTIONS", "expected --crop or --regrid, got both.", next_step="Choose one."))
    how: Fit | None = "crop" if crop else "regrid" if regrid else None
    try:
        requests = each(
            IngestRequest(
                path=file,
                domain=domain,
                variable=variable,
                energy=energy,
                context=_names(context),
                velocity=_pair(velocity),
                dx=dx,
                dy=dy,
                dt=dt,
                axes=axes,
                trajectory=trajectory,
                fill_absent=fill_absent,
                any_boundaries=any_boundaries,
                fit=how,
                append=append,
                replace=replace,
                source=source,
                units=units,
            )
        )
    except FieldError as error:
        fail(error)
    reports = run(_ingest(requests))
    emit(_result(reports), as_json=as_json, text="\n".join([*map(_summary, reports), *_next(reports)]))


async def _ingest(requests: tuple[IngestRequest, ...]) -> list[IngestReport]:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        # the whole file first: one that cannot be used must not wait for a server, nor be taken in part
        prepared = _checked(requests, bar)
        async with opened() as services:
            task = bar.add_task("frames")
            reports: list[IngestReport] = []
            for number, request in enumerate(requests):
                one = prepared if prepared is not None else prepare(request)
                what = f"frames of {number + 1}/{len(requests)}" if len(requests) > 1 else "frames"
                bar.update(task, description=what)
                reports.append(
                    await ingest_prepared(
                        services, one, lambda done, total: bar.update(task, completed=done, total=total)
                    )
                )
            return reports


def _checked(requests: tuple[IngestRequest, ...], bar: Progress) -> Prepared | None:
    """Read and check every sequence; the only one is kept, several are read again when their turn comes."""
    if len(requests) == 1:
        return prepare(requests[0])
    task = bar.add_task("checked", total=len(requests))
    for request in requests:
        prepare(request)
        bar.advance(task)
    return None


def _names(given: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in given.split(",") if name.strip()) if given else ()


def _pair(given: str | None) -> tuple[str, str] | None:
    names = _names(given)
    if given is None:
        return None
    if len(names) != 2:
        raise FieldError(
            "BAD_OPTIONS", f"expected two variables for --velocity, got {given!r}.", next_step="Write it as u,v."
        )
    return names[0], names[1]


def _result(reports: list[IngestReport]) -> dict[str, Any]:
    """One sequence's report as it is; of several, their reports and what they have in common."""
    if len(reports) == 1:
        return asdict(reports[0])
    return {
        "domain": reports[0].domain,
        "frames": sum(report.frames for report in reports),
        "created": sum(report.created for report in reports),
        "sequences": [asdict(report) for report in reports],
    }


def _summary(report: IngestReport) -> str:
    what = (
        f"sequence {report.sequence} ({report.domain}, source {report.source!r}, {report.height}×{report.width} cells, "
        f"a frame each {report.dt:g} s)"
    )
    if report.created == 0:
        return f"nothing new: all {report.frames} frames are in {what}"
    return f"{report.created} of {report.frames} frames are new in {what}"


def _next(reports: list[IngestReport]) -> list[str]:
    new = any(report.created for report in reports)
    return [f"Next: fieldgraph train --domain {reports[0].domain}"] if new else []
