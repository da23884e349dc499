"""Importing: from a file to series that passed all checks, before anything is written and any graph is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nvp.atlas.checks import check_boundaries, check_values, in_units_of
from nvp.atlas.formats.imported import Imported
from nvp.atlas.formats.importers import Wanted, read_file, trajectories
from nvp.atlas.formats.recipe import parse_recipe
from nvp.atlas.regrid import Fit, fit
from nvp.atlas.series import Series
from nvp.dynamics.domain import domain as registered_domain
from nvp.errors import FieldError


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestRequest:
    """A file and what to make of it."""

    path: Path
    # name of a registered domain
    domain: str
    # variable of the file; None where it has only one
    variable: str | None = None
    # a recipe that forms the field instead, such as "kinetic = 0.5*(u**2 + v**2)"
    energy: str | None = None
    # variables to keep beside the field, and those that are its velocity (x, y)
    context: tuple[str, ...] = ()
    velocity: tuple[str, str] | None = None
    # distances between cells in the velocity's unit of length, and step between frames, where the file is silent
    dx: float | None = None
    dy: float | None = None
    dt: float | None = None
    # names of the axes in order, where the file is silent
    axes: str | None = None
    # of The Well's trajectories, counted from 0; None takes all (`each`)
    trajectory: int | None = None
    # Zarr: absent chunks mean the fill value
    fill_absent: bool = False
    # take a file whose boundaries are not the domain's
    any_boundaries: bool = False
    # what to do where height or width is no multiple of 8; None refuses such a file
    fit: Fit | None = None
    # add to a sequence that is there
    append: bool = False
    # put these frames in the place of others at the same times
    replace: bool = False
    # name of the source, part of the sequence's identity; None takes the file's stem
    source: str | None = None
    # unit of the variable where the file is silent or wrong
    units: str | None = None

    @property
    def wanted(self) -> Wanted:
        """What to take of the file."""
        return Wanted(
            variable=self.variable,
            energy=self.energy,
            context=self.context,
            velocity=self.velocity,
            dx=self.dx,
            dy=self.dy,
            dt=self.dt,
            axes=self.axes,
            trajectory=self.trajectory,
            fill_absent=self.fill_absent,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A file that passed all checks: nothing is written yet, and no graph was asked."""

    request: IngestRequest
    source: str
    recipe: Mapping[str, Any]
    parts: tuple[Series, ...]
    # the file says that it came out of a simulator of ours
    simulated: bool = False


def each(request: IngestRequest) -> tuple[IngestRequest, ...]:
    """One request for each sequence of the file: the trajectories of The Well's, else the request itself.

    Where a file has several trajectories, number n of source S is the sequence of source S-n.
    """
    number = trajectories(request.path)
    if number is None:
        if request.trajectory is not None and request.path.exists():
            raise FieldError(
                "BAD_OPTIONS",
                f"expected a file of The Well for --trajectory, got {request.path.name}.",
                next_step="Leave out --trajectory.",
            )
        return (request,)
    chosen = range(number) if request.trajectory is None else (request.trajectory,)
    source = _source(request)
    return tuple(replace(request, trajectory=n, source=source if number == 1 else f"{source}-{n}") for n in chosen)


def prepare(request: IngestRequest) -> Prepared:
    """Read and check the file; raises `FieldError` naming file, variable and index."""
    spec = registered_domain(request.domain)
    source = named(_source(request))
    read = read_file(request.path, default_dt=spec.dt, wanted=request.wanted)
    if read.domain is not None and read.domain != spec.name:
        raise FieldError(
            "BAD_DOMAIN",
            f"expected domain {read.domain!r}, as {read.file} says, got {spec.name!r}.",
            next_step=f"Choose it by --domain {read.domain}.",
        )
    if not request.any_boundaries:
        check_boundaries(read, spec)
    field = in_units_of(read, spec, stated=request.units)
    check_values(field, spec)
    field, fitted = fit(field, request.fit, kept="mean" if spec.signed else "sum")
    return Prepared(
        request=request,
        source=source,
        recipe={"variable": field.variable, "units": field.units, **fitted, **_made(request, read)},
        parts=field.series(domain=spec.name),
        simulated=read.simulated,
    )


def _made(request: IngestRequest, read: Imported) -> dict[str, Any]:
    """How the field was made, where it is not simply a variable of the file."""
    said: dict[str, Any] = {}
    if request.energy is not None:
        said["energy"] = str(parse_recipe(request.energy))
        said["formed_from"] = dict(read.formed_from)
    if request.context:
        said["context"] = sorted(request.context)
    if request.velocity is not None:
        said["velocity"] = list(request.velocity)
        if request.dx is not None and request.dy is not None:
            said["spacing"] = [request.dx, request.dy]
    if request.trajectory is not None:
        said["trajectory"] = request.trajectory
    if read.boundaries is not None:
        said["boundaries"] = list(read.boundaries)
    if request.fill_absent:
        said["fill_absent"] = True
    return said


def _source(request: IngestRequest) -> str:
    return request.path.stem if request.source is None else request.source


def named(source: str) -> str:
    """The name of a source as it is; raises `FieldError` for one that would not be the same on another machine."""
    if not source.strip() or "/" in source or "\\" in source:
        raise FieldError(
            "BAD_SOURCE",
            f"expected the name of a source, which is not empty and not a path, got {source!r}.",
            next_step="Name the instrument, the simulation or the data set.",
        )
    return source
