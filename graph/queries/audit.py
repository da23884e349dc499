"""Audit: the graph in pages, in the order of an index, with what each node should have beside what it has.

Every query starts from a key (`$after`) and is bounded by `$limit`: the audit's memory does not grow with the graph.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from graph.gateway import Gateway

PAGE = 2000
LEAST = -(2**63)


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceFacts:
    """A Sequence as it says it is, and what hangs on it."""

    uid: str
    domain: str
    source: str
    generator: str
    origin: str
    recipe_json: str
    rng_seed: int | None
    height: int
    width: int
    dt: float
    anchor: int
    first: int
    last: int
    length: int
    digest: str
    # t_index and length, uri and sha256 of its segments in order of time
    segments: list[dict[str, Any]]
    snapshots: int
    has_snapshot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFacts:
    """A snapshot of a sequence and its links."""

    uid: str
    t_index: int
    sha256: str
    uri: str
    # t_index of the state that NEXT leads to; None where there is no link
    next: int | None
    # HAS_SNAPSHOT and IN_DOMAIN
    owned: bool
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOf:
    """A node that has a file of its own outside a sequence: a predicted state or a checkpoint."""

    uid: str
    uri: str
    # of the array, or of all arrays of a checkpoint
    sha256: str
    spread_uri: str | None = None
    spread_sha256: str | None = None


async def sequences(gateway: Gateway) -> AsyncIterator[SequenceFacts]:
    """All sequences by uid."""
    after = ""
    while rows := await gateway.read(SEQUENCES, after=after, limit=100):
        for row in rows:
            yield SequenceFacts(**row["sequence"])
        after = rows[-1]["sequence"]["uid"]


async def sequence(gateway: Gateway, uid: str) -> SequenceFacts | None:
    """One sequence as it is now; None where it is not there any more."""
    rows = await gateway.read(SEQUENCE, uid=uid)
    return SequenceFacts(**rows[0]["sequence"]) if rows else None


async def frames(gateway: Gateway, sequence: str) -> AsyncIterator[list[FrameFacts]]:
    """The snapshots of a sequence in order of time, page by page."""
    after = LEAST
    while rows := await gateway.read(FRAMES, sequence=sequence, after=after, limit=PAGE):
        yield [FrameFacts(**row["frame"]) for row in rows]
        after = rows[-1]["frame"]["t_index"]


async def files(gateway: Gateway) -> AsyncIterator[tuple[str, FileOf]]:
    """Predicted states and checkpoints by uid, each with its label."""
    for label, query in (("Predicted", PREDICTED), ("Checkpoint", CHECKPOINTS)):
        after = ""
        while rows := await gateway.read(query, after=after, limit=PAGE):
            for row in rows:
                yield label, FileOf(**row["file"])
            after = rows[-1]["file"]["uid"]


async def named_still(gateway: Gateway, checkpoint: str) -> bool:
    """Whether a checkpoint has not been given up meanwhile."""
    return bool(await gateway.read(NAMED_STILL, uid=checkpoint))


async def database(gateway: Gateway) -> str:
    """Which database this is: an id that no other one has."""
    (row,) = await gateway.read(DATABASE)
    return str(row["id"])


async def counts(gateway: Gateway) -> dict[str, int]:
    """How much there is to look at, from the count store."""
    (row,) = await gateway.read(COUNTS)
    return row


async def segments_named(gateway: Gateway, frames: Mapping[str, Sequence[str]]) -> set[str]:
    """Those of the segments' files (uri) that a Segment or a snapshot names by now.

    `frames` are hashes of frames by uri: snapshots of which none has such a hash are not found.
    """
    # a segment's hash is its name
    files = [
        {"uri": uri, "sha256": uri.rpartition("/")[2].removesuffix(".h5"), "frames": list(hashes)}
        for uri, hashes in frames.items()
    ]
    return {row["uri"] for row in await gateway.read(SEGMENTS_NAMED, files=files, limit=len(files))}


async def live_since(gateway: Gateway) -> float | None:
    """When the oldest run that is being worked on began, in seconds since 1970; None where none is."""
    rows = await gateway.read(LIVE)
    return rows[0]["since"] if rows else None


async def mend_links(gateway: Gateway, sequence: str, pairs: list[list[str]], uids: list[str], *, dt: float) -> None:
    """NEXT for each pair, HAS_SNAPSHOT and IN_DOMAIN for each uid, where they are not there."""
    await gateway.write(MEND_NEXT, pairs=pairs, dt=dt)
    await gateway.write(MEND_OWNER, sequence=sequence, uids=uids)


async def mend_sequence(
    gateway: Gateway, sequence: str, *, length: int, first: int, last: int, digest: str, known: str
) -> None:
    """What the sequence says of itself; nothing where its digest is not `known` any more: it has grown since."""
    await gateway.write(
        MEND_SEQUENCE, sequence=sequence, length=length, first=first, last=last, digest=digest, known=known
    )


async def mend_statistics(gateway: Gateway, rows: list[dict[str, Any]]) -> None:
    """Properties of snapshots by uid."""
    await gateway.write(MEND_STATISTICS, rows=rows)


_FACTS: LiteralString = """
RETURN s {.uid, .domain, .source, .generator, .origin, .recipe_json, .rng_seed, .height, .width, .dt, .anchor, .first,
  .last, .length, .digest,
  segments: COLLECT { MATCH (s)-[:HAS_SEGMENT]->(g:Segment) WITH g ORDER BY g.first, g.uid
                      RETURN g {.uid, .first, .length, .uri, .sha256} },
  snapshots: COUNT { MATCH (e:EnergySnapshot) WHERE e.sequence = s.uid AND e.t_index IS NOT NULL },
  has_snapshot: COUNT { (s)-[:HAS_SNAPSHOT]->() }} AS sequence
ORDER BY s.uid
"""

SEQUENCES: LiteralString = "MATCH (s:Sequence) WHERE s.uid > $after WITH s ORDER BY s.uid LIMIT $limit" + _FACTS

SEQUENCE: LiteralString = "MATCH (s:Sequence {uid: $uid})" + _FACTS

FRAMES: LiteralString = """
MATCH (e:EnergySnapshot) WHERE e.sequence = $sequence AND e.t_index > $after
WITH e ORDER BY e.sequence, e.t_index LIMIT $limit
RETURN e {.uid, .t_index, .sha256, .uri,
  next: head(COLLECT { MATCH (e)-[:NEXT]->(b:EnergySnapshot) RETURN b.t_index LIMIT 1 }),
  owned: EXISTS { (e)<-[:HAS_SNAPSHOT]-(:Sequence) } AND EXISTS { (e)-[:IN_DOMAIN]->(:Domain) },
  complete: e.descriptor IS NOT NULL AND e.total_energy IS NOT NULL AND e.mean IS NOT NULL AND e.variance IS NOT NULL
    AND e.minimum IS NOT NULL AND e.maximum IS NOT NULL AND e.gradient_energy IS NOT NULL AND e.regime IS NOT NULL
  } AS frame
ORDER BY e.sequence, e.t_index
"""

PREDICTED: LiteralString = """
MATCH (e:Predicted) WHERE e.uid > $after
RETURN e {.uid, .uri, .sha256, .spread_uri, .spread_sha256} AS file ORDER BY e.uid LIMIT $limit
"""

CHECKPOINTS: LiteralString = """
MATCH (c:Checkpoint) WHERE c.uid > $after AND c.removed_at IS NULL
RETURN {uid: c.uid, uri: c.uri, sha256: c.sha256} AS file ORDER BY c.uid LIMIT $limit
"""

NAMED_STILL: LiteralString = """
MATCH (c:Checkpoint {uid: $uid}) WHERE c.removed_at IS NULL
RETURN c.uid AS uid LIMIT 1
"""

SEGMENTS_NAMED: LiteralString = """
UNWIND $files AS file
WITH file WHERE EXISTS { MATCH (g:Segment {sha256: file.sha256}) }
  OR EXISTS {
    UNWIND file.frames AS sha
    MATCH (e:EnergySnapshot {sha256: sha}) WHERE e.uri STARTS WITH file.uri + '#'
  }
RETURN file.uri AS uri LIMIT $limit
"""

LIVE: LiteralString = """
MATCH (r:Run) WHERE r.state IN ['LEASED', 'RUNNING'] AND r.lease_until > datetime()
RETURN min(coalesce(r.started_at, r.created_at)).epochSeconds AS since
"""

DATABASE: LiteralString = "CALL db.info() YIELD id RETURN id LIMIT 1"

COUNTS: LiteralString = """
CYPHER 25
RETURN COUNT { (:Sequence) } AS sequences, COUNT { (:Segment) } AS segments, COUNT { (:EnergySnapshot) } AS snapshots,
  COUNT { (:Predicted) } AS predicted, COUNT { (:Checkpoint) } AS checkpoints
"""

MEND_NEXT: LiteralString = """
UNWIND $pairs AS pair
MATCH (a:EnergySnapshot {uid: pair[0]})
MATCH (b:EnergySnapshot {uid: pair[1]})
MERGE (a)-[next:NEXT]->(b)
SET next.dt = $dt, next.delta_energy = b.total_energy - a.total_energy, next.delta_entropy = b.entropy - a.entropy
"""

MEND_OWNER: LiteralString = """
MATCH (s:Sequence {uid: $sequence})-[:OF_DOMAIN]->(d:Domain)
UNWIND $uids AS uid
MATCH (e:EnergySnapshot {uid: uid})
MERGE (s)-[:HAS_SNAPSHOT]->(e)
MERGE (e)-[:IN_DOMAIN]->(d)
"""

MEND_SEQUENCE: LiteralString = """
MATCH (s:Sequence {uid: $sequence})
SET s.uid = s.uid
WITH s WHERE s.digest = $known
SET s.length = $length, s.first = $first, s.last = $last, s.digest = $digest
"""

MEND_STATISTICS: LiteralString = """
UNWIND $rows AS row
MATCH (e:EnergySnapshot {uid: row.uid})
SET e += row.properties
"""
