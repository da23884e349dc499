"""Ingest: how fields from a file or a simulator enter the store and the graph.

Files first, graph last: a segment's file is complete on disk before the one transaction that records it, so the graph
never refers to what is not there. Ingest may be repeated, killed and run by many processes at once on files that
overlap: frames are aligned by their absolute step, what is there with the same sha256 is left alone, and a writer that
finds that another one was faster looks again.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from graph.errors import GraphError, Outage
from graph.queries import sequences, timeline
from graph.queries.leases import Lease, LeaseLost
from graph.queries.sequences import NewFrame, NewSegment, NewSequence, Origin, Stale
from nvp.atlas.canonical import digests
from nvp.atlas.segment_file import content_digest
from nvp.atlas.series import Series
from nvp.atlas.statistics import frame_statistics
from nvp.atlas.store import StoredSegment
from nvp.atlas.time_axis import step_of
from nvp.dynamics.domain import domain as registered_domain
from resolvers.services.context import Services
from resolvers.services.importing import IngestRequest, Prepared, prepare
from resolvers.services.scoring import score_predictions

SEGMENT_FRAMES = 2048
"""Frames of a segment at most: one file, one transaction, one step of progress."""

Progress = Callable[[int, int], None]
"""Called with the frames that are in the graph so far and all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What the graph has now and what of it is new."""

    # uid of the Sequence
    sequence: str
    domain: str
    source: str
    # frames given, and how many of them are new in the graph
    frames: int
    created: int
    # segments recorded by this call
    segments: int
    height: int
    width: int
    dt: float
    # absolute steps of the first and the last frame given
    first_step: int
    last_step: int


async def ingest_file(services: Services, request: IngestRequest, progress: Progress | None = None) -> IngestReport:
    """Read, check and ingest a file.

    Raises `FieldError` for a file that cannot be used, `GraphError` where the sequence is there, differs or (without
    `append`) has other frames.
    """
    return await ingest_prepared(services, await asyncio.to_thread(prepare, request), progress)


async def ingest_prepared(services: Services, prepared: Prepared, progress: Progress | None = None) -> IngestReport:
    """Ingest a file that passed its checks; raises as `ingest_file`."""
    head = prepared.parts[0]
    sequence = NewSequence(
        domain=head.domain,
        source=prepared.source,
        recipe=prepared.recipe,
        height=head.energy.shape[1],
        width=head.energy.shape[2],
        dt=head.dt,
        generator="import",
    )
    return await _ingest(
        services,
        sequence,
        prepared.parts,
        label="Observed",
        append=prepared.request.append,
        replace=prepared.request.replace,
        progress=progress,
    )


async def ingest_series(
    services: Services,
    series: Series,
    *,
    source: str,
    recipe: Mapping[str, Any],
    generator: str,
    label: Origin,
    lease: Lease | None = None,
    rng_seed: int | None = None,
    progress: Progress | None = None,
    append: bool = True,
) -> IngestReport:
    """Ingest a series from memory; `lease` is that of the Run that made it. Raises LeaseLost, and as `ingest_file`.

    Its frames' absolute steps follow from `valid_time`, or are counted from `first` where it has none.
    """
    sequence = NewSequence(
        domain=series.domain,
        source=source,
        recipe=recipe,
        height=series.energy.shape[1],
        width=series.energy.shape[2],
        dt=series.dt,
        generator=generator,
        rng_seed=rng_seed,
    )
    return await _ingest(services, sequence, (series,), label=label, append=append, lease=lease, progress=progress)


async def _ingest(
    services: Services,
    sequence: NewSequence,
    given: Sequence[Series],
    *,
    label: Origin,
    append: bool,
    replace: bool = False,
    lease: Lease | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    spec = registered_domain(sequence.domain)
    await asyncio.to_thread(services.store.sweep_temporary)
    # uid and absolute step go into the files: their content does not depend on which of them came first
    parts = [dataclasses.replace(part, uid=sequence.uid, first=_first_step(part)) for part in given]
    frames = [
        (part.first + k, sha256)
        for part in parts
        for k, sha256 in enumerate(await asyncio.to_thread(digests, part.energy))
    ]
    # before anything is written: is it there, does it differ, may it grow?
    todo = await _missing(services, sequence, frames, replace=replace)
    if todo and not append and not replace:
        await _refuse_growth(services, sequence, parts)
    await sequences.upsert_domain(services.gateway, asdict(spec))

    created = segments = 0
    while todo:
        for piece in _pieces(parts, todo):
            if progress:
                progress(len(frames) - len(todo), len(frames))
            outcome = await _append(
                services, sequence, piece, label=label, lease=lease, signed=spec.signed, replace=replace
            )
            if isinstance(outcome, Stale):
                break
            todo = todo[len(piece) :]
            created += outcome.created
            segments += outcome.created > 0
        else:
            break
        todo = await _missing(services, sequence, frames, replace=replace)
    if progress:
        progress(len(frames), len(frames))
    await score_predictions(services, sequence.uid)
    return IngestReport(
        sequence=sequence.uid,
        domain=sequence.domain,
        source=sequence.source,
        frames=len(frames),
        created=created,
        segments=segments,
        height=sequence.height,
        width=sequence.width,
        dt=sequence.dt,
        first_step=frames[0][0],
        last_step=frames[-1][0],
    )


async def _missing(
    services: Services, sequence: NewSequence, frames: Sequence[tuple[int, str]], *, replace: bool
) -> list[int]:
    """Steps that the graph does not have yet, in order; raises Conflict where it has another frame."""
    present = await sequences.existing_steps(services.gateway, sequence.uid, frames[0][0], frames[-1][0])
    return sequences.missing(frames, present, replace=replace)


async def _refuse_growth(services: Services, sequence: NewSequence, parts: Sequence[Series]) -> None:
    """Without `append` a sequence may only be finished: every segment that it has must be one of this very input."""
    recorded = {row.sha256 for row in await timeline.segments(services.gateway, sequence.uid)}
    if not recorded:
        return
    whole = [step for part in parts for step in range(part.first, part.first + len(part))]
    planned = {await asyncio.to_thread(content_digest, piece) for piece in _pieces(parts, whole)}
    if not recorded <= planned:
        raise GraphError(
            "SEQUENCE_EXISTS",
            f"expected a new source, got {sequence.source!r}: its sequence {sequence.uid} is there with other frames.",
            next_step="Add these by --append, or name another source by --source.",
        )


async def _append(
    services: Services,
    sequence: NewSequence,
    piece: Series,
    *,
    label: Origin,
    lease: Lease | None,
    signed: bool,
    replace: bool,
) -> sequences.Appended | Stale:
    """Write the file, then record it; what the graph refuses is deleted again."""
    stored = await asyncio.to_thread(services.store.write_segment, piece)
    frames = await asyncio.to_thread(_frames, piece, stored, signed)
    segment = NewSegment(first_step=piece.first, length=len(piece), uri=stored.uri, sha256=stored.sha256)
    try:
        outcome = await sequences.append_segment(
            services.gateway, sequence, segment, frames, label, replace=replace, lease=lease
        )
    except (Outage, LeaseLost):
        # the server may have committed before it went away, or the run's next attempt made the very same file: it stays
        raise
    except GraphError:
        _discard(services, stored)
        raise
    if isinstance(outcome, Stale):
        _discard(services, stored)
    return outcome


def _discard(services: Services, stored: StoredSegment) -> None:
    # a file that was there before belongs to somebody else
    if stored.created:
        services.store.remove(stored.uri)


def _pieces(parts: Sequence[Series], todo: Sequence[int]) -> list[Series]:
    """The frames of `todo` as pieces without gaps, none longer than a segment, in the order of `todo`."""
    pieces = []
    for stretch in sequences.stretches(todo):
        part = next(part for part in parts if part.first <= stretch.start < part.first + len(part))
        for start in range(stretch.start, stretch.stop, SEGMENT_FRAMES):
            stop = min(start + SEGMENT_FRAMES, stretch.stop)
            pieces.append(part.part(start - part.first, stop - part.first))
    return pieces


def _first_step(part: Series) -> int:
    return part.first if part.valid_time is None else step_of(part.valid_time[0], part.dt)


def _frames(piece: Series, stored: StoredSegment, signed: bool) -> list[NewFrame]:
    statistics = frame_statistics(piece.energy, signed=signed)
    return [
        NewFrame(
            step=piece.first + k,
            sha256=frame.sha256,
            uri=frame.uri,
            total_energy=float(statistics.total_energy[k]),
            mean=float(statistics.mean[k]),
            variance=float(statistics.variance[k]),
            minimum=float(statistics.minimum[k]),
            maximum=float(statistics.maximum[k]),
            entropy=None if statistics.entropy is None else float(statistics.entropy[k]),
            gradient_energy=float(statistics.gradient_energy[k]),
            descriptor=tuple(statistics.descriptor[k].tolist()),
            regime=str(statistics.regime[k]),
            valid_time=None if piece.valid_time is None else _instant(piece.valid_time[k]),
            context_names=stored.context_names,
            context_uri=frame.context_uri,
            context_sha256=frame.context_sha256,
            source_total=None if piece.source_total is None else float(piece.source_total[k]),
            outflow_total=None if piece.outflow_total is None else float(piece.outflow_total[k]),
        )
        for k, frame in enumerate(stored.frames)
    ]


def _instant(time: np.datetime64) -> datetime:
    """The instant with its time zone, to the microsecond; files of fields give UTC."""
    moment: datetime = time.astype("datetime64[us]").astype(datetime)
    return moment.replace(tzinfo=UTC)
