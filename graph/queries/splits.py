"""Splits: which stretches of which sequences train, choose and test; never by frame.

Frames next to each other are nearly equal, so a split by frame would test on what was trained on: roles take whole
sequences, or blocks of time with a gap between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, LiteralString

from neo4j import AsyncManagedTransaction

from graph import identity
from graph.errors import GraphError, NotFound
from graph.gateway import Gateway

Role = Literal["train", "val", "test"]


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """A stretch of a sequence and what it is for; t_index, inclusive."""

    role: Role
    sequence: str
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRow:
    """A Split with its parts, by role, sequence and time."""

    uid: str
    name: str
    kind: str
    # steps left out between roles of one sequence
    gap: int
    parts: tuple[Part, ...]
    # parts for training and validation that the graph did not have when the split was last imported; None: never was
    absent: int | None = None

    @property
    def whole(self) -> bool:
        """All that was learnt from is among the parts: they make up the split's identity, or were all found."""
        return self.absent == 0 or self.uid == identity.split_uid(
            self.kind, self.gap, [(part.role, part.sequence, part.first, part.last) for part in self.parts]
        )

    def of(self, role: Role) -> tuple[Part, ...]:
        """The parts of one role."""
        return tuple(part for part in self.parts if part.role == role)


async def create_split(
    gateway: Gateway, *, name: str, kind: Literal["sequence", "block"], gap: int, parts: Sequence[Part]
) -> SplitRow:
    """Write a split, or find it: its identity is what it divides and how, not its name.

    Raises GraphError where parts overlap or come nearer than `gap`, NotFound for an unknown sequence.
    """
    _check(parts, gap)
    uid = identity.split_uid(kind, gap, [(part.role, part.sequence, part.first, part.last) for part in parts])
    rows = [{"role": part.role, "sequence": part.sequence, "first": part.first, "last": part.last} for part in parts]

    async def work(tx: AsyncManagedTransaction) -> None:
        await (await tx.run(_CREATE, uid=uid, name=name, kind=kind, gap=gap)).consume()
        found = {record["sequence"] async for record in await tx.run(_ADD_PARTS, uid=uid, parts=rows)}
        for part in parts:
            if part.sequence not in found:
                raise NotFound("Sequence", part.sequence, next_step="Ingest or generate it first.")

    await gateway.transact(work)
    return await split(gateway, uid)


async def split(gateway: Gateway, uid: str) -> SplitRow:
    """The split of this uid with all its parts; raises NotFound."""
    rows = await gateway.read(_GET, uid=uid)
    if not rows:
        raise NotFound("Split", uid, next_step="Training creates one, or `create_split`.")
    return _split(rows[0]["split"])


def _check(parts: Sequence[Part], gap: int) -> None:
    if not parts:
        raise GraphError("BAD_SPLIT", "expected at least one part, got none.")
    for part in parts:
        if part.last < part.first:
            raise GraphError("BAD_SPLIT", f"expected first <= last, got {part.first} … {part.last} of {part.sequence}.")
    in_time = sorted(parts, key=lambda part: (part.sequence, part.first))
    for before, after in pairwise(in_time):
        if before.sequence != after.sequence:
            continue
        between = after.first - before.last - 1
        if between < (gap if before.role != after.role else 0):
            raise GraphError(
                "BAD_SPLIT",
                f"expected {gap} steps between {before.role} and {after.role} of sequence {before.sequence}, "
                f"got {between}.",
                next_step="Move or shorten one of them.",
            )


def _split(row: dict[str, Any]) -> SplitRow:
    parts = tuple(sorted(Part(**part) for part in row.pop("parts")))
    return SplitRow(parts=parts, **row)


_CREATE: LiteralString = """
MERGE (p:Split {uid: $uid})
ON CREATE SET p.name = $name, p.kind = $kind, p.gap = $gap, p.created_at = datetime()
"""

_ADD_PARTS: LiteralString = """
MATCH (p:Split {uid: $uid})
UNWIND $parts AS part
MATCH (s:Sequence {uid: part.sequence})
MERGE (p)-[:HAS_PART {role: part.role, first: part.first, last: part.last}]->(s)
RETURN s.uid AS sequence
"""

_GET: LiteralString = """
MATCH (p:Split {uid: $uid})
RETURN p {.uid, .name, .kind, .gap, .absent, parts: COLLECT {
  MATCH (p)-[part:HAS_PART]->(s:Sequence) RETURN part {.role, .first, .last, sequence: s.uid}
}} AS split
LIMIT 1
"""
