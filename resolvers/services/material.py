"""Material of an ingest: frames by absolute step, read when their turn comes."""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from graph.queries.sequences import stretches
from nvp.atlas.canonical import digests
from nvp.atlas.segment_file import content_digest
from nvp.atlas.series import Series
from nvp.atlas.time_axis import TOLERANCE, step_of

SEGMENT_FRAMES = 2048
"""Frames of a segment at most: one file, one transaction, one step of progress."""
SEGMENT_BYTES = 1 << 27
"""Of a segment's arrays at most, context included, however large a frame is."""


class Part(Protocol):
    """Consecutive frames: a `Series` in memory, or a segment that is read as asked."""

    def __len__(self) -> int: ...

    def part(self, start: int, stop: int, /) -> Series:
        """Frames start … stop-1, counted from its first."""
        ...


@dataclass(frozen=True, slots=True)
class OffTime:
    """A frame that does not lie on the steps of what is there."""

    expected: str
    got: str


class Material:
    """The parts given, in order of time; uid and absolute step go into the files, so that their content does not
    depend on which of them came first."""

    def __init__(self, parts: Sequence[Part], uid: str) -> None:
        self._uid = uid
        heads = [part.part(0, 1) for part in parts]
        self._heads = heads
        self._parts = [(first_step(head), part) for head, part in zip(heads, parts, strict=True)]
        frame = sum(values[0].nbytes for values in (heads[0].energy, *heads[0].context.values()))
        self._longest = max(1, min(SEGMENT_FRAMES, SEGMENT_BYTES // frame))
        self._digests: list[tuple[int, str]] | None = None

    def __len__(self) -> int:
        return sum(len(part) for _, part in self._parts)

    @property
    def first(self) -> int:
        """Step of the first frame."""
        return self._parts[0][0]

    @property
    def last(self) -> int:
        """Step of the last frame."""
        first, part = self._parts[-1]
        return first + len(part) - 1

    def steps(self) -> list[int]:
        """All of them, in order."""
        return [step for first, part in self._parts for step in range(first, first + len(part))]

    def plan(self, steps: Sequence[int]) -> list[range]:
        """The steps (in order) as stretches without gaps, each within one part and none longer than a segment."""
        return [
            range(start, min(start + self._longest, stretch.stop))
            for first, part in self._parts
            for stretch in stretches(steps[bisect_left(steps, first) : bisect_left(steps, first + len(part))])
            for start in range(stretch.start, stretch.stop, self._longest)
        ]

    def read(self, steps: range) -> Series:
        """The frames of consecutive steps within one part."""
        first, part = next((first, part) for first, part in self._parts if first <= steps.start < first + len(part))
        series = part.part(steps.start - first, steps.stop - first)
        return dataclasses.replace(series, uid=self._uid, first=steps.start)

    def digests(self) -> list[tuple[int, str]]:
        """sha256 of every frame by step; read once."""
        if self._digests is None:
            self._digests = [
                (step, sha256)
                for steps in self.plan(self.steps())
                for step, sha256 in zip(steps, digests(self.read(steps).energy), strict=True)
            ]
        return self._digests

    def segment_digests(self) -> set[str]:
        """sha256 of each segment that a first ingest of all frames would make."""
        return {content_digest(self.read(steps)) for steps in self.plan(self.steps())}

    def off_times(self, known: Sequence[tuple[int, datetime | None]]) -> OffTime | None:
        """The first frame that lies between the steps of the `known` ones, or has a calendar where they have none."""
        for head, (first, _) in zip(self._heads, self._parts, strict=True):
            for step, moment in known:
                given = None if head.valid_time is None else head.valid_time[0]
                if (moment is None) != (given is None):
                    expected, got = ("steps" if moment is None else "times"), ("steps" if given is None else "times")
                    return OffTime(f"which has {expected}", got)
                if moment is None or given is None:
                    continue
                there = np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "ns")
                # in steps; rounding of both times is let pass
                off = (given.astype("datetime64[ns]") - there).astype(np.int64) / 1e9 / head.dt - (first - step)
                if abs(off) > 2 * TOLERANCE:
                    return OffTime(f"such as {_told(there)}", _told(given))
        return None


def first_step(head: Series) -> int:
    """Absolute step of a series' first frame, by its calendar where it has one."""
    return head.first if head.valid_time is None else step_of(head.valid_time[0], head.dt)


def _told(time: np.datetime64) -> str:
    return str(time.astype("datetime64[s]"))
