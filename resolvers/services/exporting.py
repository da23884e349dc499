"""Exporting: sequences of the graph become a file that others read, and that `ingest` reads back as the same frames."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from graph.queries import timeline
from nvp.atlas.formats.export import Format, export, format_of, refuse_existing
from nvp.atlas.series import Series
from nvp.dynamics.domain import domain as registered_domain
from nvp.errors import FieldError
from resolvers.services.context import Services
from resolvers.services.loading import load

# of all arrays together: they are in memory while they are written
MOST_BYTES = 8 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """Sequences and the file to write them to."""

    sequences: tuple[str, ...]
    path: Path
    # None: by the file's suffix
    format: str | None = None
    # t_index of the first and the last frame of each; None: all
    first: int | None = None
    last: int | None = None
    # replace a file that is there
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was written."""

    path: str
    format: Format
    domain: str
    sequences: tuple[str, ...]
    # of all sequences together
    frames: int
    height: int
    width: int
    bytes: int


def check(request: ExportRequest) -> Format:
    """The format; raises `FieldError` for a request that cannot be done, before any server is asked."""
    if not request.sequences or len(set(request.sequences)) != len(request.sequences):
        raise FieldError("BAD_REQUEST", "expected one or more sequences, each once.", next_step="Name each once.")
    form = format_of(request.path, request.format)
    if form != "well" and len(request.sequences) > 1:
        raise FieldError(
            "NOT_ONE_FILE",
            f"expected one sequence for a file of format {form}, got {len(request.sequences)}.",
            next_step="Export each by itself, or all by --format well.",
        )
    refuse_existing(request.path, force=request.force)
    return form


async def export_sequences(
    services: Services, request: ExportRequest, progress: Callable[[int, int], None] | None = None
) -> ExportReport:
    """Write the file; raises GraphError for a sequence that is not there or has gaps, `FieldError` as `export`."""
    form = check(request)
    rows = [await timeline.sequence(services.gateway, uid) for uid in request.sequences]
    if len({row.domain for row in rows}) > 1:
        raise FieldError(
            "NOT_ONE_FILE",
            f"expected sequences of one domain, got {', '.join(sorted({row.domain for row in rows}))}.",
            next_step="Export each domain to a file of its own.",
        )
    if len({row.origin for row in rows}) > 1:
        raise FieldError(
            "NOT_ONE_FILE",
            "expected observed or simulated sequences, got both.",
            next_step="Export the observed ones and the simulated ones to files of their own.",
        )
    series: list[Series] = []
    size = 0
    for row in rows:
        first = row.first if request.first is None else request.first
        last = row.last if request.last is None else request.last
        if last < first:
            raise FieldError(
                "NO_FRAME",
                f"expected t_index from {row.first} to {row.last} of sequence {row.uid}, got {first} … {last}.",
                next_step="Leave --first and --last out for all of them.",
            )
        _fits(size + (last - first + 1) * row.height * row.width * 4)
        found = await load(services, row.uid, first, last)
        size += sum(values.nbytes for values in (found.energy, *found.context.values()))
        _fits(size)
        # by absolute step, so that whoever reads it gets frames of the same identity; the uid is the graph's affair
        series.append(replace(found, first=row.anchor + found.first, uid=""))
        if progress:
            progress(len(series), len(rows))
    spec = registered_domain(rows[0].domain)
    simulated = rows[0].origin == "Simulated"
    await asyncio.to_thread(export, request.path, series, spec, form, force=request.force, simulated=simulated)
    _, H, W, _ = series[0].energy.shape
    return ExportReport(
        path=str(request.path),
        format=form,
        domain=spec.name,
        sequences=request.sequences,
        frames=sum(map(len, series)),
        height=H,
        width=W,
        bytes=_bytes(request.path),
    )


def _fits(size: int) -> None:
    if size > MOST_BYTES:
        raise FieldError(
            "TOO_LARGE",
            f"expected at most {MOST_BYTES >> 30} GiB of arrays in one file, got {size / (1 << 30):.1f}.",
            next_step="Choose fewer sequences, or frames by --first and --last.",
        )


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
