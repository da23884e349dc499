"""The queue: workers claim from it, and what they lose returns to it.

Order: higher priority first, then whichever has been ready for longest. A run that waits for its next attempt is not
ready before `not_before`. Both stand in one index, (state, capability, rank, not_before) with rank = −priority, for an
index has one direction; a claim reads its first entries and no others.

Claimers that look at the same moment see the same run first, and one of them gets it. The others go on at places drawn
at random among what they have seen, so that they do not meet again at the second, the third, …
"""

from __future__ import annotations

import random
from typing import LiteralString
from uuid import uuid4

from graph.gateway import Gateway
from graph.queries.backoff import pause
from graph.queries.run_family import cancel_children
from graph.queries.run_moves import move
from graph.queries.run_rows import RunRow

CANDIDATES = 64
"""How many runs one claim looks at; more workers than that would wait for their next poll."""


async def claim(
    gateway: Gateway,
    *,
    capability: str,
    worker: str,
    lease_seconds: float,
    limit: int = 1,
    only: str | None = None,
) -> list[RunRow]:
    """Lease up to `limit` QUEUED runs in the queue's order; each goes to one claimer.

    `only`: just the run of this uid, and what is part of it. A run that another claimer takes between our look and our
    write is passed over, not waited for.
    """
    if only is None:
        seen = await gateway.read(_CANDIDATES, capability=capability, limit=CANDIDATES)
    else:
        seen = await gateway.read(_CANDIDATES_OF, capability=capability, only=only, limit=CANDIDATES)
    candidates = [(row["rank"], row["uid"]) for row in seen]
    claimed: list[RunRow] = []
    missed = False
    while candidates and len(claimed) < limit:
        # whoever has met another steps aside, but never below a run of higher priority
        first = sum(rank == candidates[0][0] for rank, _ in candidates)
        _, uid = candidates.pop(random.randrange(first) if missed else 0)
        row = await move(
            gateway,
            uid,
            "QUEUED",
            "LEASED",
            None,
            fields={"worker": worker, "message": ""},
            new_token=str(uuid4()),
            lease_seconds=lease_seconds,
        )
        if row is not None:
            claimed.append(row)
        missed = missed or row is None
    return claimed


async def reap(gateway: Gateway, *, max_attempts: int) -> int:
    """Return runs with an expired lease to the queue; how many were moved.

    One whose cancellation was asked for is CANCELLED, one that was lost `max_attempts` times is FAILED.
    """
    moved = 0
    for expired in await gateway.read(_EXPIRED, limit=CANDIDATES):
        delay = 0.0
        if expired["cancel_requested"]:
            to, fields = "CANCELLED", {"message": "cancelled after its worker was lost"}
        elif expired["losses"] + 1 >= max_attempts:
            message = f"expected a worker that outlasts the run, got {expired['losses'] + 1} attempts that were lost."
            to, fields = "FAILED", {"error_code": "LEASE_EXPIRED", "error_message": message}
        else:
            to, fields = "QUEUED", {"message": "its worker was lost; waiting for the next"}
            # the lease that ran out was the first wait
            delay = pause(expired["uid"], expired["losses"])
        row = await move(
            gateway,
            expired["uid"],
            expired["state"],
            to,
            expired["lease_token"],
            fields=fields,
            expired=True,
            delay=delay,
            lost=True,
        )
        if row is not None:
            moved += 1
            await cancel_children(gateway, row.uid)
    return moved


# an index over several properties serves those who name them all; and it spares the sorting (of all that wait, at each
# claim) only where the order names them all too
_CANDIDATES: LiteralString = """
MATCH (r:Run {state: 'QUEUED', capability: $capability})
WHERE r.rank IS NOT NULL AND r.not_before IS NOT NULL AND r.not_before <= datetime()
RETURN r.uid AS uid, r.rank AS rank ORDER BY r.state, r.capability, r.rank, r.not_before LIMIT $limit
"""

# as deep as `run_family` goes
_CANDIDATES_OF: LiteralString = """
MATCH (r:Run)-[:PART_OF*0..8]->(:Run {uid: $only})
WHERE r.state = 'QUEUED' AND r.capability = $capability AND r.not_before <= datetime()
WITH DISTINCT r
RETURN r.uid AS uid, r.rank AS rank ORDER BY r.rank, r.not_before LIMIT $limit
"""

_EXPIRED: LiteralString = """
MATCH (r:Run) WHERE r.state IN ['LEASED', 'RUNNING'] AND r.lease_until < datetime()
RETURN r.uid AS uid, r.state AS state, r.lease_token AS lease_token, r.cancel_requested AS cancel_requested,
  coalesce(r.losses, r.attempt - 1) AS losses
ORDER BY r.lease_until LIMIT $limit
"""
