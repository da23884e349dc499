"""Ingest: how fields from a file, a simulator or the store itself enter the graph.

Files first, graph last: a segment's file is complete on disk before the one transaction that records it, so the graph
never refers to what is not there. Ingest may be repeated, killed and run by many processes at once on files that
overlap: frames are aligned by their absolute step, what is there with the same sha256 is left alone, and a writer that
finds that another one was faster looks again.

While Neo4j writes one segment, a thread reads, hashes and describes the next: never more than two are in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from graph.errors import GraphError, Outage
from graph.queries import sequences, timeline
from graph.queries.frames import NewFrame, Origin
from graph.queries.leases import Lease, LeaseLost
from graph.queries.sequences import NewSegment, NewSequence, Stale
from nvp.atlas.segment_file import FrameDigests, frame_digests
from nvp.atlas.series import Series
from nvp.atlas.statistics import FrameStatistics, frame_statistics
from nvp.atlas.store import StoredSegment
from nvp.dynamics.domain import domain as registered_domain
from resolvers.services import belonging
from resolvers.services.context import Services
from resolvers.services.importing import IngestRequest, Prepared, prepare
from resolvers.services.material import Material, Part
from resolvers.services.naming import delete_unnamed
from resolvers.services.scoring import score_predictions

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


def sequence_of(prepared: Prepared) -> NewSequence:
    """The sequence that a file's frames belong to."""
    head = prepared.parts[0]
    return NewSequence(
        domain=head.domain,
        source=prepared.source,
        recipe=prepared.recipe,
        height=head.energy.shape[1],
        width=head.energy.shape[2],
        dt=head.dt,
        generator="import",
    )


async def ingest_prepared(services: Services, prepared: Prepared, progress: Progress | None = None) -> IngestReport:
    """Ingest a file that passed its checks; raises as `ingest_file`."""
    return await _ingest(
        services,
        sequence_of(prepared),
        prepared.parts,
        label="Simulated" if prepared.simulated else "Observed",
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
    replace: bool = False,
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
    return await _ingest(
        services, sequence, (series,), label=label, append=append, replace=replace, lease=lease, progress=progress
    )


async def ingest_stored(
    services: Services,
    sequence: NewSequence,
    uris: Sequence[str],
    *,
    label: Origin,
    append: bool = True,
    progress: Progress | None = None,
) -> IngestReport:
    """Ingest segments that are in the store already, in order of time; raises as `ingest_file`.

    Their files are read, not written: what the graph lost can be had again from them.
    """
    parts = [await asyncio.to_thread(services.store.segment, uri) for uri in uris]
    return await _ingest(services, sequence, parts, label=label, append=append, progress=progress)


async def restore_segment(services: Services, sequence: NewSequence, uri: str, *, label: Origin) -> int:
    """Write the snapshots that the graph lost of a segment that it knows, from its file; how many.

    Raises FieldError where the file has changed, and as `ingest_file`.
    """
    await asyncio.to_thread(services.store.verify, uri)
    series = await asyncio.to_thread(services.store.read_segment, uri)
    piece = await asyncio.to_thread(_describe, series, registered_domain(sequence.domain).signed)
    outcome = await _append(services, sequence, piece, label=label, lease=None, replace=False)
    return outcome.created if isinstance(outcome, sequences.Appended) else 0


async def _ingest(
    services: Services,
    sequence: NewSequence,
    given: Sequence[Part],
    *,
    label: Origin,
    append: bool,
    replace: bool = False,
    lease: Lease | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    spec = registered_domain(sequence.domain)
    await asyncio.to_thread(services.store.sweep_temporary)
    material = await asyncio.to_thread(Material, given, sequence.uid)
    # before anything is written: are these its times, is it there, does it differ, may it grow?
    await _refuse_other_times(services, sequence, material)
    todo = await _missing(services, sequence, material, replace=replace)
    if todo and not append and not replace:
        await _refuse_growth(services, sequence, material)
    await belonging.claim_new(services)
    await sequences.upsert_domain(services.gateway, asdict(spec))

    created = segments = 0
    while todo:
        async with _Ahead(material.plan(todo), material, signed=spec.signed) as ahead:
            outcome: sequences.Appended | Stale | None = None
            while not isinstance(outcome, Stale) and (piece := await ahead.next()) is not None:
                if progress:
                    progress(len(material) - len(todo), len(material))
                outcome = await _append(services, sequence, piece, label=label, lease=lease, replace=replace)
                if isinstance(outcome, sequences.Appended):
                    todo = todo[len(piece.series) :]
                    created += outcome.created
                    segments += outcome.created > 0
        if not isinstance(outcome, Stale):
            break
        todo = await _missing(services, sequence, material, replace=replace)
    if progress:
        progress(len(material), len(material))
    await score_predictions(services, sequence.uid)
    return IngestReport(
        sequence=sequence.uid,
        domain=sequence.domain,
        source=sequence.source,
        frames=len(material),
        created=created,
        segments=segments,
        height=sequence.height,
        width=sequence.width,
        dt=sequence.dt,
        first_step=material.first,
        last_step=material.last,
    )


async def _missing(services: Services, sequence: NewSequence, material: Material, *, replace: bool) -> list[int]:
    """Steps that the graph does not have yet, in order; raises Conflict where it has another frame."""
    present = await sequences.existing_steps(services.gateway, sequence.uid, material.first, material.last)
    if not present:
        return material.steps()  # all new: nothing to compare, so nothing is read before its turn
    return sequences.missing(await asyncio.to_thread(material.digests), present, replace=replace)


async def _refuse_growth(services: Services, sequence: NewSequence, material: Material) -> None:
    """Without `append` a sequence may only be finished: every segment that it has must be one of this very input."""
    recorded = {row.sha256 for row in await timeline.segments(services.gateway, sequence.uid)}
    if recorded and not recorded <= await asyncio.to_thread(material.segment_digests):
        raise GraphError(
            "SEQUENCE_EXISTS",
            f"expected a new source, got {sequence.source!r}: its sequence {sequence.uid} is there with other frames.",
            next_step="Add these by --append, or name another source by --source.",
        )


async def _refuse_other_times(services: Services, sequence: NewSequence, material: Material) -> None:
    """Frames of the same step may lie between those that are there, half an hour past the hour; steps are rounded."""
    known = await timeline.ends(services.gateway, sequence.uid)
    if known and known[0].dt != sequence.dt:
        raise GraphError(
            "OTHER_TIMES",
            f"expected a step of {known[0].dt:g} as in sequence {sequence.uid!r}, got {sequence.dt:g}.",
            next_step="Resample the file in time, or give this data another source name (`--source`).",
        )
    if found := material.off_times([(end.step, end.valid_time) for end in known]):
        raise GraphError(
            "OTHER_TIMES",
            f"expected times of sequence {sequence.uid!r} ({found.expected}), got {found.got}.",
            next_step="Resample the file in time, or give this data another source name (`--source`).",
        )


@dataclass(frozen=True, slots=True)
class _Piece:
    """A segment to be, with all that is known of it before it is written."""

    series: Series
    hashed: FrameDigests
    statistics: FrameStatistics


class _Ahead:
    """Prepares one piece in a thread while the one before it is being written."""

    def __init__(self, plan: Sequence[range], material: Material, *, signed: bool) -> None:
        self._plan = list(plan)
        self._material = material
        self._signed = signed
        self._coming: asyncio.Task[_Piece] | None = None

    async def __aenter__(self) -> _Ahead:
        self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._coming is not None:
            with suppress(Exception):  # of a piece that nobody waits for
                await self._coming

    async def next(self) -> _Piece | None:
        """The next piece of the plan; None after the last."""
        ready = None if self._coming is None else await self._coming
        self._begin()
        return ready

    def _begin(self) -> None:
        steps = self._plan.pop(0) if self._plan else None
        self._coming = asyncio.create_task(asyncio.to_thread(self._prepare, steps)) if steps else None

    def _prepare(self, steps: range) -> _Piece:
        return _describe(self._material.read(steps), self._signed)


def _describe(series: Series, signed: bool) -> _Piece:
    return _Piece(series, frame_digests(series), frame_statistics(series.energy, signed=signed))


async def _append(
    services: Services,
    sequence: NewSequence,
    piece: _Piece,
    *,
    label: Origin,
    lease: Lease | None,
    replace: bool,
) -> sequences.Appended | Stale:
    """Write the file, then record it; what the graph refuses is deleted again."""
    series = piece.series
    stored = await asyncio.to_thread(services.store.write_segment, series, piece.hashed)
    frames = await asyncio.to_thread(_frames, piece, stored)
    segment = NewSegment(first_step=series.first, length=len(series), uri=stored.uri, sha256=stored.sha256)
    try:
        outcome = await sequences.append_segment(
            services.gateway, sequence, segment, frames, label, replace=replace, lease=lease
        )
    except (Outage, LeaseLost):
        # the server may have committed before it went away, or the run's next attempt made the very same file: it stays
        raise
    except GraphError:
        await _discard(services, stored)
        raise
    if isinstance(outcome, Stale):
        await _discard(services, stored)
    else:
        # whoever took it for an orphan just before it was recorded has seen it go; this puts it there again
        await asyncio.to_thread(services.store.write_segment, series, piece.hashed)
    return outcome


async def _discard(services: Services, stored: StoredSegment) -> None:
    # a file that was there before belongs to somebody else
    if stored.created:
        await delete_unnamed(services, stored.uri)


def _frames(piece: _Piece, stored: StoredSegment) -> list[NewFrame]:
    series, statistics = piece.series, piece.statistics
    descriptors = statistics.descriptor.tolist()
    return [
        NewFrame(
            step=series.first + k,
            sha256=frame.sha256,
            uri=frame.uri,
            total_energy=float(statistics.total_energy[k]),
            mean=float(statistics.mean[k]),
            variance=float(statistics.variance[k]),
            minimum=float(statistics.minimum[k]),
            maximum=float(statistics.maximum[k]),
            entropy=None if statistics.entropy is None else float(statistics.entropy[k]),
            gradient_energy=float(statistics.gradient_energy[k]),
            descriptor=tuple(descriptors[k]),
            regime=str(statistics.regime[k]),
            valid_time=None if series.valid_time is None else _instant(series.valid_time[k]),
            context_names=stored.context_names,
            context_uri=frame.context_uri,
            context_sha256=frame.context_sha256,
            source_total=None if series.source_total is None else float(series.source_total[k]),
            outflow_total=None if series.outflow_total is None else float(series.outflow_total[k]),
        )
        for k, frame in enumerate(stored.frames)
    ]


def _instant(time: np.datetime64) -> datetime:
    """The instant with its time zone, to the microsecond; files of fields give UTC."""
    moment: datetime = time.astype("datetime64[us]").astype(datetime)
    return moment.replace(tzinfo=UTC)
