"""Importing: from a file to series that passed all checks, before anything is written and any graph is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvp.atlas.checks import check_units, check_values
from nvp.atlas.importers import read_file
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A file that passed all checks: nothing is written yet, and no graph was asked."""

    request: IngestRequest
    source: str
    recipe: Mapping[str, Any]
    parts: tuple[Series, ...]


def prepare(request: IngestRequest) -> Prepared:
    """Read and check the file; raises `FieldError` naming file, variable and index."""
    spec = registered_domain(request.domain)
    source = named(request.path.stem if request.source is None else request.source)
    field = read_file(request.path, variable=request.variable, default_dt=spec.dt)
    units = check_units(field, spec, stated=request.units)
    check_values(field, spec)
    field, fitted = fit(field, request.fit, kept="mean" if spec.signed else "sum")
    return Prepared(
        request=request,
        source=source,
        recipe={"variable": field.variable, "units": units, **fitted},
        parts=field.series(domain=spec.name),
    )


def named(source: str) -> str:
    """The name of a source as it is; raises `FieldError` for one that would not be the same on another machine."""
    if not source.strip() or "/" in source or "\\" in source:
        raise FieldError(
            "BAD_SOURCE",
            f"expected the name of a source, which is not empty and not a path, got {source!r}.",
            next_step="Name the instrument, the simulation or the data set.",
        )
    return source
