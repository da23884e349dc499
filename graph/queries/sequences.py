"""Sequences: how fields enter the graph, and how they are found again by time.

A Sequence grows by Segments. `append_segment` is one transaction per segment: it takes the Sequence's lock, looks at
what is there, adds what is missing and joins neighbours by NEXT, whichever of them came first. So it may be repeated,
interrupted between segments, and run by many at once on files that overlap. The protocol for a writer of files:

    while frames := missing(frames, await existing_steps(gateway, uid, first, last)):    # raises Conflict
        for stretch in stretches(frames):                       # consecutive steps
            write the segment's file, then
            if isinstance(await append_segment(...), Stale): look again
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from neo4j import AsyncManagedTransaction

from graph import identity
from graph.errors import Conflict, GraphError, NotFound
from graph.gateway import Gateway
from graph.queries.frames import NewFrame, Origin, Place, write_frames
from graph.queries.leases import Lease, fence


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSequence:
    """One evolution; its uid follows from domain, source and recipe."""

    domain: str
    # name of what it came from, never a path
    source: str
    # how it was made: variable, crop or regridding, generator's settings; part of its identity
    recipe: Mapping[str, Any]
    height: int
    width: int
    # seconds or the domain's unit of time
    dt: float
    # simulator or importer
    generator: str
    rng_seed: int | None = None

    @property
    def uid(self) -> str:
        """The same on every machine."""
        return identity.sequence_uid(self.domain, self.source, identity.digest(self.recipe))

    @property
    def draw(self) -> str | None:
        """What chance gave it, so that sequences of one draw can be kept in one role; None where nothing was drawn.

        A recipe says it by its `base` (a map that several sequences begin with) or by its `number` under the root.
        """
        if self.rng_seed is None:
            return None
        which = self.recipe.get("base", self.recipe.get("number"))
        return f"{self.domain}/{self.generator}/{self.rng_seed}" + ("" if which is None else f"/{which}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSegment:
    """A stretch of consecutive frames in one immutable file."""

    # absolute step of its first frame
    first_step: int
    length: int
    # relative to the store
    uri: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Appended:
    """The segment is in the graph: how many frames it brought, and how many were there before."""

    created: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Stale:
    """Nothing was written: some of the segment's frames came from elsewhere meanwhile, equal to ours. Look again."""

    present: int


async def upsert_domain(gateway: Gateway, domain: Mapping[str, Any]) -> str:
    """Create or refresh a Domain from its flat properties (`name` is its key); the name.

    Raises Conflict where the graph holds another meaning (closed, second_law, boundaries, units, sign) under it.
    """
    name = str(domain["name"])
    rows = await gateway.read(_DOMAIN, name=name)
    if rows and all(rows[0]["domain"].get(key) == value for key, value in domain.items()):
        return name  # unchanged: no write, hence no lock on a node that every ingest needs
    if rows:
        for key in MEANING:
            known, given = rows[0]["domain"].get(key), domain.get(key)
            if None not in (known, given) and known != given:
                raise Conflict(
                    "DOMAIN_CONFLICT",
                    f"expected domain {name!r} with {key} = {known!r} as in the graph, got {given!r}.",
                    next_step="Choose another name for the domain.",
                )
    await gateway.write(_UPSERT_DOMAIN, name=name, properties=dict(domain))
    return name


async def existing_steps(gateway: Gateway, sequence_uid: str, lo: int, hi: int) -> dict[int, str]:
    """sha256 by absolute step of the frames from `lo` to `hi` (inclusive) in the graph; {} for a new sequence."""
    rows = await gateway.read(_EXISTING, sequence=sequence_uid, lo=lo, hi=hi, limit=max(hi - lo + 1, 0))
    return {row["step"]: row["sha256"] for row in rows}


async def known(gateway: Gateway, uids: Sequence[str]) -> set[str]:
    """Those of the sequences that are in the graph."""
    return {row["uid"] for row in await gateway.read(_KNOWN, uids=list(uids), limit=len(uids))}


def missing(frames: Iterable[tuple[int, str]], existing: Mapping[int, str], *, replace: bool = False) -> list[int]:
    """Steps of the frames (step, sha256) that are not in the graph, or with `replace` not in this form.

    Raises Conflict at the first frame that the graph holds with another sha256.
    """
    steps = []
    for step, sha256 in frames:
        known = existing.get(step)
        if known is None or (replace and known != sha256):
            steps.append(step)
        elif known != sha256:
            raise _conflict(step, known, sha256)
    return steps


def stretches(steps: Iterable[int]) -> list[range]:
    """The steps as ranges without gaps, in order: each can be one segment."""
    ranges: list[range] = []
    for step in sorted(set(steps)):
        if ranges and ranges[-1].stop == step:
            ranges[-1] = range(ranges[-1].start, step + 1)
        else:
            ranges.append(range(step, step + 1))
    return ranges


async def append_segment(
    gateway: Gateway,
    sequence: NewSequence,
    segment: NewSegment,
    frames: Sequence[NewFrame],
    label: Origin,
    *,
    replace: bool = False,
    lease: Lease | None = None,
) -> Appended | Stale:
    """Add a segment and its snapshots to the graph, all or nothing.

    A segment that is already recorded adds nothing. `lease` is that of the Run that made the sequence, which is linked
    to it. Raises LeaseLost, Conflict for a frame that the graph holds with another sha256 (unless `replace`, which
    overwrites it) or a sequence of another shape, NotFound for an unknown domain, GraphError where frames and segment
    disagree.
    """
    _check(segment, frames)

    async def work(tx: AsyncManagedTransaction) -> Appended | Stale:
        if lease is not None:
            await fence(tx, lease)
        anchor = await _lock(tx, sequence, segment, label)
        place = Place(sequence.uid, sequence.domain, label, sequence.height, sequence.width, sequence.dt, anchor)
        if lease is not None:
            await tx.run(_GENERATED, uid=sequence.uid, run=lease.run)
        present = {
            record["step"]: record["sha256"]
            async for record in await tx.run(
                _EXISTING,
                sequence=sequence.uid,
                lo=segment.first_step,
                hi=segment.first_step + segment.length - 1,
                limit=segment.length,
            )
        }
        absent = set(missing([(frame.step, frame.sha256) for frame in frames], present, replace=replace))
        segment_uid = identity.segment_uid(sequence.uid, segment.first_step, segment.sha256)
        recorded = await (await tx.run(_SEGMENT_EXISTS, uid=segment_uid)).single() is not None
        if present and not recorded and len(absent) < len(frames):
            return Stale(len(frames) - len(absent))
        added = [frame for frame in frames if frame.step in absent]
        if added:
            await write_frames(tx, place, added, fresh=not present)
            created = sum(frame.step not in present for frame in added)
            await _write_segment(tx, sequence, segment, segment_uid, anchor, created)
        return Appended(len(added), len(frames) - len(added))

    return await gateway.transact(work)


async def _lock(
    tx: AsyncManagedTransaction,
    sequence: NewSequence,
    segment: NewSegment,
    label: Origin,
) -> int:
    """Create the Sequence or take its lock; the step that is its t_index 0."""
    shape = {"height": sequence.height, "width": sequence.width, "dt": sequence.dt}
    result = await tx.run(
        _LOCK,
        uid=sequence.uid,
        domain=sequence.domain,
        properties={
            **shape,
            "domain": sequence.domain,
            "source": sequence.source,
            "generator": sequence.generator,
            "rng_seed": sequence.rng_seed,
            "draw": sequence.draw,
            "recipe_json": identity.canonical_json(sequence.recipe).decode(),
            "origin": label,
            "anchor": segment.first_step,
            "length": 0,
            "digest": "",
        },
    )
    locked = await result.single()
    if locked is None:
        raise NotFound("Domain", sequence.domain, next_step="Record it by `upsert_domain` first.")
    for name, given in {**shape, "origin": label}.items():
        if locked[name] != given:
            raise Conflict(
                "SEQUENCE_CONFLICT",
                f"expected {name} = {locked[name]!r} as in sequence {sequence.uid!r}, got {given!r}.",
                next_step="Give this data another source name (`--source`).",
            )
    return int(locked["anchor"])


async def _write_segment(
    tx: AsyncManagedTransaction,
    sequence: NewSequence,
    segment: NewSegment,
    segment_uid: str,
    anchor: int,
    created: int,
) -> None:
    first = segment.first_step - anchor
    result = await tx.run(
        _WRITE_SEGMENT,
        sequence=sequence.uid,
        uid=segment_uid,
        first=first,
        last=first + segment.length - 1,
        length=segment.length,
        uri=segment.uri,
        sha256=segment.sha256,
        created=created,
    )
    digests = (await result.single(strict=True))["digests"]
    await (await tx.run(_SET_DIGEST, sequence=sequence.uid, digest=identity.chain(digests))).consume()


def _check(segment: NewSegment, frames: Sequence[NewFrame]) -> None:
    steps = [frame.step for frame in frames]
    expected = list(range(segment.first_step, segment.first_step + segment.length))
    if not steps or steps != expected:
        got = f"{steps[0]} … {steps[-1]} ({len(steps)})" if steps else "none"
        last = segment.first_step + segment.length - 1
        raise GraphError(
            "BAD_SEGMENT",
            f"expected frames at the consecutive steps {segment.first_step} … {last} ({segment.length}), got {got}.",
            next_step="Write one segment per stretch without gaps.",
        )


def _conflict(step: int, known: str, given: str) -> Conflict:
    return Conflict(
        "FRAME_CONFLICT",
        f"expected the frame at step {step} to have sha256 {known} as in the graph, got {given}.",
        next_step="Give this data another source name (`--source`), or overwrite with `--replace`.",
    )


MEANING = ("closed", "second_law", "boundary_x", "boundary_y", "units", "signed")
"""What cannot change under a domain's name once data is there."""

_DOMAIN: LiteralString = "MATCH (d:Domain {name: $name}) RETURN properties(d) AS domain LIMIT 1"

_UPSERT_DOMAIN: LiteralString = "MERGE (d:Domain {name: $name}) SET d += $properties"

_KNOWN: LiteralString = "UNWIND $uids AS uid MATCH (s:Sequence {uid: uid}) RETURN s.uid AS uid LIMIT $limit"

_EXISTING: LiteralString = """
MATCH (s:Sequence {uid: $sequence})
MATCH (e:EnergySnapshot)
WHERE e.sequence = s.uid AND e.t_index >= $lo - s.anchor AND e.t_index <= $hi - s.anchor
RETURN e.t_index + s.anchor AS step, e.sha256 AS sha256
LIMIT $limit
"""

# the write to updated_at takes the lock that orders all appends to one sequence
_LOCK: LiteralString = """
MATCH (d:Domain {name: $domain})
MERGE (s:Sequence {uid: $uid})
ON CREATE SET s += $properties, s.created_at = datetime()
SET s.updated_at = datetime()
WITH d, s
FOREACH (_ IN CASE WHEN EXISTS {(s)-[:OF_DOMAIN]->(d)} THEN [] ELSE [1] END | CREATE (s)-[:OF_DOMAIN]->(d))
RETURN s.anchor AS anchor, s.height AS height, s.width AS width, s.dt AS dt, s.origin AS origin
"""

_GENERATED: LiteralString = """
MATCH (s:Sequence {uid: $uid})
MATCH (r:Run {uid: $run})
MERGE (s)-[:WAS_GENERATED_BY]->(r)
"""

_SEGMENT_EXISTS: LiteralString = "MATCH (g:Segment {uid: $uid}) RETURN g.uid AS uid LIMIT 1"

_WRITE_SEGMENT: LiteralString = """
MATCH (s:Sequence {uid: $sequence})
MERGE (g:Segment {uid: $uid})
ON CREATE SET g.first = $first, g.length = $length, g.uri = $uri, g.sha256 = $sha256
MERGE (s)-[:HAS_SEGMENT]->(g)
SET s.length = s.length + $created,
    s.first = CASE WHEN s.first < $first THEN s.first ELSE $first END,
    s.last = CASE WHEN s.last > $last THEN s.last ELSE $last END
WITH s
MATCH (s)-[:HAS_SEGMENT]->(part:Segment)
WITH part ORDER BY part.first, part.uid
RETURN collect(part.sha256) AS digests
"""

_SET_DIGEST: LiteralString = "MATCH (s:Sequence {uid: $sequence}) SET s.digest = $digest"
