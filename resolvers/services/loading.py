"""From the graph to arrays: frames of a sequence as a `Series`, wherever their files lie."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from graph.errors import GraphError
from graph.queries import timeline
from graph.queries.evaluation import Stretch
from graph.queries.splits import Part
from graph.queries.timeline import FrameRow
from nvp.atlas.series import Series, join
from nvp.atlas.store import ArrayStore
from resolvers.services.context import Services


async def load(services: Services, sequence: str, first: int, last: int) -> Series:
    """Frames with t_index from `first` to `last` (inclusive) of a sequence.

    Raises GraphError where one of them is not in the graph: a series has no gaps.
    """
    stretches = await load_stretches(services, sequence, first, last)
    found = sum(len(stretch) for stretch in stretches)
    if len(stretches) != 1 or found != last - first + 1:
        raise GraphError(
            "MISSING_FRAMES",
            f"expected frames {first} … {last} of sequence {sequence}, got {found} in {len(stretches)} stretches.",
            next_step="Ingest what is missing (`fieldgraph ingest --append`), or choose another range.",
        )
    return stretches[0]


async def load_stretches(services: Services, sequence: str, first: int, last: int) -> list[Series]:
    """The same, as one series for each stretch without gaps, in order of time; [] where there is no frame."""
    rows = await timeline.frames(services.gateway, sequence, first, last)
    return await asyncio.to_thread(_read, services.store, sequence, rows)


async def load_parts(services: Services, parts: Iterable[Part | Stretch]) -> list[Series]:
    """All stretches of these parts of sequences, one after the other."""
    return [series for part in parts for series in await load_stretches(services, part.sequence, part.first, part.last)]


def _read(store: ArrayStore, sequence: str, rows: Sequence[FrameRow]) -> list[Series]:
    """Each run of neighbours in one file is read at once; runs that follow each other in time are joined."""
    stretches: list[list[Series]] = []
    following: int | None = None
    for first, uri, start, stop in _runs(rows):
        part = replace(store.read_segment(uri, start, stop), first=first, uid=sequence)
        if first != following:
            stretches.append([])
        stretches[-1].append(part)
        following = first + len(part)
    return [join(parts) for parts in stretches]


def _runs(rows: Sequence[FrameRow]) -> list[tuple[int, str, int, int]]:
    """(t_index, segment, start, stop) of consecutive frames that are consecutive in one segment."""
    runs: list[tuple[int, str, int, int]] = []
    for row in rows:
        uri, _, frame = row.uri.partition("#")
        place = int(frame)
        if runs:
            first, known, start, stop = runs[-1]
            if uri == known and place == stop and row.t_index == first + stop - start:
                runs[-1] = (first, known, start, stop + 1)
                continue
        runs.append((row.t_index, uri, place, place + 1))
    return runs
