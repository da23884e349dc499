"""Similar states: the nearest by cosine of their descriptors, from the vector index of each origin.

The indexes know `domain` and `sequence`, so a filtered search returns as many as it was asked for. They are
approximate (hierarchical navigable small worlds; Malkov and Yashunin, 2018): a near neighbour may be missed.
"""

from __future__ import annotations

from asyncio import gather
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, LiteralString

from graph.errors import GraphError, NotFound
from graph.gateway import Gateway
from graph.queries import projections as as_
from graph.queries.catalog import plain

Kind = Literal["Observed", "Simulated", "Predicted"]
TRUE_KINDS: tuple[Kind, ...] = ("Observed", "Simulated")
MOST = 200
"""Hits of one search at most."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A similar snapshot as the API reads one; `score` is (1 + cosine) / 2, 1 for the same shape."""

    score: float
    snapshot: dict[str, Any]


async def similar(
    gateway: Gateway,
    uid: str,
    *,
    first: int = 10,
    kind: Kind | None = None,
    domain: str | None = None,
    other_sequences: bool = False,
) -> list[Hit]:
    """The snapshots most like this one, which is left out, best first; predicted ones only where `kind` says so.

    `other_sequences` leaves out its own sequence, whose next frames are nearly equal. Raises NotFound, and GraphError
    where the snapshot has no descriptor or `first` is out of range.
    """
    if not 1 <= first <= MOST:
        raise GraphError("BAD_REQUEST", f"expected first within 1 … {MOST}, got {first}.")
    rows = await gateway.read(_DESCRIPTOR, uid=uid)
    if not rows:
        raise NotFound("EnergySnapshot", uid, next_step="Take a uid that `snapshots` lists.")
    (asked,) = rows
    if asked["descriptor"] is None:
        raise GraphError(
            "NO_DESCRIPTOR",
            f"expected a snapshot with a descriptor, got {uid}, which has none.",
            next_step="Choose an observed or simulated one.",
        )
    searches = [
        SEARCHES[label, domain is not None, sides]
        for label in ((kind,) if kind else TRUE_KINDS)
        for sides in (
            ("before", "after") if other_sequences and asked["sequence"] and label != "Predicted" else ("all",)
        )
    ]
    # one more: the snapshot itself is the nearest of all
    answers = await gather(
        *(
            gateway.read(
                search, descriptor=asked["descriptor"], limit=first + 1, domain=domain, sequence=asked["sequence"]
            )
            for search in searches
        )
    )
    hits = [Hit(row["score"], plain(row["row"])) for answer in answers for row in answer if row["row"]["uid"] != uid]
    return sorted(hits, key=lambda hit: (-hit.score, hit.snapshot["uid"]))[:first]


_DESCRIPTOR: LiteralString = """
MATCH (e:EnergySnapshot {uid: $uid})
RETURN e.descriptor AS descriptor, e.sequence AS sequence LIMIT 1
"""

_SIDES: Mapping[str, tuple[LiteralString, ...]] = {
    "all": (),
    # an index search takes ranges, but no <>
    "before": ("node.sequence < $sequence",),
    "after": ("node.sequence > $sequence",),
}


def _search(label: LiteralString, conditions: tuple[LiteralString, ...]) -> LiteralString:
    where: LiteralString = ""
    for condition in conditions:
        where = where + (" AND " if where else " WHERE ") + condition
    return (
        "CYPHER 25 MATCH (node:"
        + label
        + ") SEARCH node IN (VECTOR INDEX vector_index_"
        + label
        + "_descriptor FOR $descriptor"
        + where
        + " LIMIT $limit) SCORE AS score RETURN score, "
        + as_.SNAPSHOT
        + " AS row ORDER BY score DESC, node.uid LIMIT $limit"
    )


_LABELS: tuple[LiteralString, ...] = ("Observed", "Simulated", "Predicted")

SEARCHES: Mapping[tuple[str, bool, str], LiteralString] = {
    (label, in_domain, sides): _search(label, (("node.domain = $domain",) if in_domain else ()) + conditions)
    for label in _LABELS
    for in_domain in (False, True)
    for sides, conditions in _SIDES.items()
    if label != "Predicted" or sides == "all"
}
"""By label, whether one domain is asked for, and which sequences."""
