"""Frames: how the snapshots of a segment and the NEXT between them are written, within the append's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString

from neo4j import AsyncManagedTransaction

from graph import identity
from graph.queries.states import NewState

Origin = Literal["Observed", "Simulated"]
BATCH = 2048
"""Nodes or links per statement: large enough to amortise it, small enough for a 1 GB heap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFrame(NewState):
    """One state of a sequence; `valid_time` (with time zone) where the sequence has a calendar."""

    # absolute: floor(valid_time / dt) since 1970, or the index
    step: int
    valid_time: datetime | None = None
    context_names: tuple[str, ...] = ()
    context_uri: str | None = None
    context_sha256: str | None = None
    # sum over the field of the source and of the outflow during the step that led here, where a simulator knows them
    source_total: float | None = None
    outflow_total: float | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where frames go: what all snapshots of a sequence have in common."""

    sequence: str
    domain: str
    label: Origin
    height: int
    width: int
    dt: float
    # absolute step of t_index 0
    anchor: int


async def write_frames(
    tx: AsyncManagedTransaction, place: Place, frames: Sequence[NewFrame], *, fresh: bool = False
) -> None:
    """Write the frames and join them, and their neighbours that are there, by NEXT.

    The caller holds the sequence's lock. `fresh` frames are consecutive, and none of their steps has a snapshot yet:
    they are created without looking for each first.
    """
    statement = _CREATE_FRAMES if fresh else _MERGE_FRAMES
    for start in range(0, len(frames), BATCH):
        rows = [_row(place, frame) for frame in frames[start : start + BATCH]]
        await (await tx.run(statement, sequence=place.sequence, label=place.label, dt=place.dt, rows=rows)).consume()
    steps = [frame.step for frame in frames[::BATCH]] + [frames[-1].step + 1] if fresh else _joints(frames)
    for start in range(0, len(steps), BATCH):
        pairs = [
            [identity.snapshot_uid(place.sequence, step - 1), identity.snapshot_uid(place.sequence, step)]
            for step in steps[start : start + BATCH]
        ]
        await (await tx.run(_LINK, pairs=pairs, dt=place.dt)).consume()


def _joints(frames: Sequence[NewFrame]) -> list[int]:
    """The later step of each pair of neighbours that has one of the frames in it."""
    return sorted({step for frame in frames for step in (frame.step, frame.step + 1)})


def _row(place: Place, frame: NewFrame) -> dict[str, Any]:
    t_index = frame.step - place.anchor
    row = frame.properties() | {
        "uid": identity.snapshot_uid(place.sequence, frame.step),
        "domain": place.domain,
        "sequence": place.sequence,
        "t_index": t_index,
        "t": t_index * place.dt,
        "height": place.height,
        "width": place.width,
    }
    del row["step"]  # t_index and the sequence's anchor say it
    return row


_MERGE_FRAMES: LiteralString = """
MATCH (s:Sequence {uid: $sequence})-[:OF_DOMAIN]->(d:Domain)
UNWIND $rows AS row
MERGE (e:EnergySnapshot {uid: row.uid})
ON CREATE SET e:$($label)
SET e += row
MERGE (s)-[:HAS_SNAPSHOT]->(e)
MERGE (e)-[:IN_DOMAIN]->(d)
"""

# the neighbours are at hand as they are made: no NEXT has to look for its ends
_CREATE_FRAMES: LiteralString = """
MATCH (s:Sequence {uid: $sequence})-[:OF_DOMAIN]->(d:Domain)
UNWIND $rows AS row
CREATE (s)-[:HAS_SNAPSHOT]->(e:EnergySnapshot:$($label))-[:IN_DOMAIN]->(d)
SET e = row
WITH collect(e) AS states
UNWIND range(0, size(states) - 2) AS k
WITH states[k] AS a, states[k + 1] AS b
CREATE (a)-[:NEXT {dt: $dt, delta_energy: b.total_energy - a.total_energy, delta_entropy: b.entropy - a.entropy}]->(b)
"""

_LINK: LiteralString = """
UNWIND $pairs AS pair
MATCH (a:EnergySnapshot {uid: pair[0]})
MATCH (b:EnergySnapshot {uid: pair[1]})
MERGE (a)-[next:NEXT]->(b)
SET next.dt = $dt, next.delta_energy = b.total_energy - a.total_energy, next.delta_entropy = b.entropy - a.entropy
"""
