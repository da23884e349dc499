"""Parents and children: (child)-[:PART_OF]->(parent), and how a cancellation goes down.

A run that finds a child made before (by its dedup key) is a parent of it too. So a child is cancelled with its parent
only where no other parent goes on; and since a parent's lock is taken both by who gives it a child and by who asks it
to stop, no child comes after the children were cancelled. Should that have ended with its process, each child that is
worked learns from its next sign of life that nobody waits for it any more.

One parent pays for a child: the one that it was `made` for, and should that leave, the next that goes on.
"""

from __future__ import annotations

from typing import LiteralString

from neo4j import AsyncManagedTransaction

from graph.errors import GraphError, NotFound
from graph.gateway import Gateway
from graph.queries.run_moves import move
from graph.queries.run_rows import RUN_ROW, TERMINAL_STATES, RunRow, run_of

MOST = 10_000
"""Children of one run at most."""


async def children(gateway: Gateway, uid: str, *, own: bool = False, limit: int = MOST) -> list[RunRow]:
    """The runs that are part of this one, in the order in which they were made; `own`: only those that it pays for."""
    return [run_of(row) for row in await gateway.read(_CHILDREN, uid=uid, own=own, limit=limit)]


async def adopting(tx: AsyncManagedTransaction, parent: str) -> None:
    """Hold the parent's lock until `tx` ends; raises NotFound, and GraphError where it may have no child any more."""
    found = await (await tx.run(_PARENT, uid=parent)).single()
    if found is None:
        raise NotFound("Run", parent, next_step="`fieldgraph runs list` shows those that exist.")
    if found["state"] in TERMINAL_STATES or found["cancel_requested"]:
        state = "that is to stop" if found["cancel_requested"] else f"in state {found['state']}"
        raise GraphError("PARENT_ENDED", f"expected a parent that goes on, got run {parent} {state}.")


async def adopt(tx: AsyncManagedTransaction, uid: str, parent: str, *, made: bool) -> None:
    """Make the run part of its parent (`made`: for it); nothing where the parent is part of it."""
    await (await tx.run(_ADOPT, uid=uid, parent=parent, made=made)).consume()


async def leave(gateway: Gateway, uid: str, parent: str) -> bool:
    """Take the run from its parent, where others wait for it: the next of them pays. Else cancel it.

    True where it goes on.
    """
    rows = await gateway.write(_LEAVE, uid=uid, parent=parent, terminal=sorted(TERMINAL_STATES))
    if rows and rows[0]["wanted"]:
        return True
    await cancel(gateway, uid)
    return False


async def cancel(gateway: Gateway, uid: str) -> None:
    """Cancel a QUEUED run at once, ask the worker of a leased one to stop; then all that is part of it.

    Raises NotFound.
    """
    while True:
        if await move(gateway, uid, "QUEUED", "CANCELLED", None, fields={"message": "cancelled before it started"}):
            break
        rows = await gateway.write(_REQUEST_CANCEL, uid=uid)
        if not rows:
            raise NotFound("Run", uid, next_step="`fieldgraph runs list` shows those that exist.")
        if rows[0]["state"] != "QUEUED":
            break
        # it went back to the queue between the two writes: try again
    await cancel_children(gateway, uid)


async def cancel_children(gateway: Gateway, uid: str) -> None:
    """Cancel the children of a run that has failed, was cancelled or is to stop; of another nothing."""
    for row in await gateway.read(_LEFT, uid=uid, terminal=sorted(TERMINAL_STATES), limit=MOST):
        await cancel(gateway, row["uid"])


# of run r: one of its parents has failed, was cancelled or is to stop, and none goes on
NOBODY_WAITS: LiteralString = """
  EXISTS {
    MATCH (r)-[:PART_OF]->(gone:Run) WHERE gone.state IN ['FAILED', 'CANCELLED'] OR gone.cancel_requested
  } AND NOT EXISTS {
    MATCH (r)-[:PART_OF]->(other:Run)
    WHERE NOT other.state IN ['SUCCEEDED', 'FAILED', 'CANCELLED'] AND NOT other.cancel_requested
  }"""

# of an older graph: what was made for a run is younger
_CHILDREN: LiteralString = (
    """
MATCH (r:Run)-[part:PART_OF]->(:Run {uid: $uid})
WHERE NOT $own OR coalesce(part.made, r.uid > $uid)
"""
    + RUN_ROW
    + "ORDER BY r.uid LIMIT $limit"
)

_PARENT: LiteralString = """
MATCH (r:Run {uid: $uid})
SET r.touched_at = datetime()
RETURN r.state AS state, r.cancel_requested AS cancel_requested
"""

# eight generations are more than there are kinds that ask for runs
_ADOPT: LiteralString = """
MATCH (r:Run {uid: $uid})
MATCH (parent:Run {uid: $parent})
WHERE NOT EXISTS { (parent)-[:PART_OF*0..8]->(r) }
MERGE (r)-[part:PART_OF]->(parent)
ON CREATE SET part.made = $made
"""

_LEAVE: LiteralString = """
MATCH (r:Run {uid: $uid})
SET r.touched_at = datetime()
WITH r
MATCH (r)-[mine:PART_OF]->(:Run {uid: $parent})
WITH mine, mine.made AS paid, COLLECT {
  MATCH (r)-[part:PART_OF]->(other:Run)
  WHERE other.uid <> $parent AND NOT other.state IN $terminal AND NOT other.cancel_requested
  RETURN part ORDER BY other.uid
} AS others
FOREACH (next IN CASE WHEN paid THEN others[..1] ELSE [] END | SET next.made = true)
FOREACH (_ IN others[..1] | DELETE mine)
RETURN size(others) > 0 AS wanted
"""

# the key goes at once: who asks for the same work now is to get a run that goes on
_REQUEST_CANCEL: LiteralString = """
MATCH (r:Run {uid: $uid})
SET r.touched_at = datetime()
WITH r, r.state AS state
FOREACH (_ IN CASE WHEN state IN ['LEASED', 'RUNNING'] THEN [1] ELSE [] END |
  SET r.cancel_requested = true, r.seq = r.seq + 1, r.dedup_key = null)
RETURN state
"""

# one that another run goes on with stays
_LEFT: LiteralString = (
    """
MATCH (r:Run)-[:PART_OF]->(:Run {uid: $uid})
WHERE NOT r.state IN $terminal AND NOT r.cancel_requested AND ("""
    + NOBODY_WAITS
    + """)
RETURN r.uid AS uid ORDER BY uid LIMIT $limit
"""
)
