"""Timeline: sequences, segments and snapshots as services read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from graph.errors import NotFound
from graph.gateway import Gateway
from graph.queries.rows import native, parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceRow:
    """A Sequence; t_index runs from `first` to `last`, `length` of them are there (fewer where it has gaps)."""

    uid: str
    domain: str
    source: str
    generator: str
    # Observed or Simulated
    origin: str
    recipe: dict[str, Any]
    rng_seed: int | None
    height: int
    width: int
    dt: float
    # absolute step of t_index 0
    anchor: int
    first: int
    last: int
    length: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRow:
    """A Segment: `length` consecutive frames from t_index `first` in one file."""

    uid: str
    first: int
    length: int
    uri: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRow:
    """A snapshot's place and array; its statistics stay in the graph."""

    uid: str
    sequence: str | None
    domain: str
    t_index: int
    t: float
    valid_time: datetime | None
    sha256: str
    uri: str
    height: int
    width: int
    total_energy: float
    entropy: float | None
    context_names: list[str]
    context_uri: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The first or the last frame of a sequence, and the sequence's time step."""

    dt: float
    # absolute
    step: int
    valid_time: datetime | None


async def sequence(gateway: Gateway, uid: str) -> SequenceRow:
    """The sequence of this uid; raises NotFound."""
    rows = await gateway.read(_SEQUENCE, uid=uid)
    if not rows:
        raise NotFound("Sequence", uid, next_step="Ingest or generate it first.")
    return _sequence(rows[0]["sequence"])


async def sequences_of_domain(
    gateway: Gateway, domain: str, *, to_learn: bool = False, limit: int = 1000, after: str = ""
) -> list[SequenceRow]:
    """The domain's sequences by uid; `after` is the last uid seen.

    `to_learn`: without those that were simulated as fresh evidence for an experiment.
    """
    rows = await gateway.read(_SEQUENCES, domain=domain, to_learn=to_learn, limit=limit, after=after)
    return [_sequence(row["sequence"]) for row in rows]


async def segments(gateway: Gateway, sequence_uid: str, *, limit: int = 100_000) -> list[SegmentRow]:
    """The sequence's segments in order of time."""
    rows = await gateway.read(_SEGMENTS, sequence=sequence_uid, limit=limit)
    return [SegmentRow(**row["segment"]) for row in rows]


async def snapshot(gateway: Gateway, uid: str) -> FrameRow:
    """The snapshot of this uid, of whatever origin; raises NotFound."""
    rows = await gateway.read(_SNAPSHOT, uid=uid)
    if not rows:
        raise NotFound("EnergySnapshot", uid)
    return FrameRow(**native(rows[0]["frame"]))


async def snapshots(gateway: Gateway, uids: Sequence[str]) -> list[FrameRow]:
    """The snapshots of these uids in one read, in their order; raises NotFound for the first that is not there."""
    rows = await gateway.read(_SNAPSHOTS, uids=list(uids), limit=len(uids))
    found = {row["frame"]["uid"]: FrameRow(**native(row["frame"])) for row in rows}
    for uid in uids:
        if uid not in found:
            raise NotFound("EnergySnapshot", uid)
    return [found[uid] for uid in uids]


async def frames(gateway: Gateway, sequence_uid: str, first: int, last: int) -> list[FrameRow]:
    """The frames with t_index from `first` to `last` (inclusive), in order; those that are missing are left out."""
    rows = await gateway.read(_FRAMES, sequence=sequence_uid, first=first, last=last, limit=max(last - first + 1, 0))
    return [FrameRow(**native(row["frame"])) for row in rows]


async def ends(gateway: Gateway, sequence_uid: str) -> list[End]:
    """The first and the last frame of a sequence; [] where there is none."""
    rows = await gateway.read(_ENDS, sequence=sequence_uid)
    return [End(**native(row["end"])) for row in rows]


def _sequence(row: dict[str, Any]) -> SequenceRow:
    return SequenceRow(recipe=parsed(row.pop("recipe_json")), **row)


_SEQUENCE_ROW: LiteralString = """
RETURN s {.uid, .domain, .source, .generator, .origin, .recipe_json, .rng_seed, .height, .width, .dt, .anchor, .first,
  .last, .length, .digest} AS sequence
"""

_FRAME_ROW: LiteralString = """
RETURN e {.uid, .sequence, .domain, .t_index, .t, .valid_time, .sha256, .uri, .height, .width, .total_energy, .entropy,
  .context_names, .context_uri} AS frame
"""

_SEQUENCE: LiteralString = "MATCH (s:Sequence {uid: $uid})" + _SEQUENCE_ROW + "LIMIT 1"

# who trains on evidence has none left to be tested by; and a training is not another one because of an experiment
_SEQUENCES: LiteralString = (
    """
MATCH (s:Sequence {domain: $domain})
WHERE s.uid > $after AND NOT ($to_learn AND EXISTS {
  MATCH (s)-[:WAS_GENERATED_BY]->(made:Run)-[part:PART_OF]->(:Run {kind: 'ace'}) WHERE part.made
})
"""
    + _SEQUENCE_ROW
    + "ORDER BY s.uid LIMIT $limit"
)

_SEGMENTS: LiteralString = """
MATCH (:Sequence {uid: $sequence})-[:HAS_SEGMENT]->(g:Segment)
RETURN g {.uid, .first, .length, .uri, .sha256} AS segment
ORDER BY g.first, g.uid LIMIT $limit
"""

_SNAPSHOT: LiteralString = "MATCH (e:EnergySnapshot {uid: $uid})" + _FRAME_ROW + "LIMIT 1"

_SNAPSHOTS: LiteralString = "UNWIND $uids AS uid MATCH (e:EnergySnapshot {uid: uid})" + _FRAME_ROW + "LIMIT $limit"

_ENDS: LiteralString = """
MATCH (s:Sequence {uid: $sequence})
UNWIND [s.first, s.last] AS t_index
MATCH (e:EnergySnapshot) WHERE e.sequence = s.uid AND e.t_index = t_index
RETURN {dt: s.dt, step: t_index + s.anchor, valid_time: e.valid_time} AS end
ORDER BY t_index LIMIT 2
"""

_FRAMES: LiteralString = (
    """
MATCH (e:EnergySnapshot)
WHERE e.sequence = $sequence AND e.t_index >= $first AND e.t_index <= $last
"""
    + _FRAME_ROW
    + "ORDER BY e.t_index LIMIT $limit"
)
