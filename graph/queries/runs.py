"""Runs: durable, leased, resumable; the only place where a Run changes.

    QUEUED -> LEASED -> RUNNING -> SUCCEEDED | FAILED | CANCELLED

An expired lease returns a Run to QUEUED with the next attempt. `run_moves` has the only Cypher that changes `state`,
`run_queue` the order in which runs are claimed and reaped, `run_family` what becomes of a run's children with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString

from neo4j import AsyncManagedTransaction

from graph.errors import GraphError, NotFound
from graph.gateway import Gateway
from graph.identity import canonical_json, event_uid
from graph.queries import run_family
from graph.queries.leases import Lease, LeaseLost
from graph.queries.rows import native
from graph.queries.run_family import children
from graph.queries.run_moves import move
from graph.queries.run_queue import claim, reap
from graph.queries.run_rows import (
    CAPABILITIES,
    OUTCOME_FIELDS,
    RUN_LABELS,
    RUN_ROW,
    TERMINAL_STATES,
    TRANSITIONS,
    Heartbeat,
    RunRow,
    run_of,
)

__all__ = [
    "CAPABILITIES",
    "MAX_PRIORITY",
    "RUN_LABELS",
    "TERMINAL_STATES",
    "TRANSITIONS",
    "Heartbeat",
    "Lease",
    "LeaseLost",
    "RunRow",
    "children",
    "claim",
    "heartbeat",
    "list_runs",
    "reap",
    "report",
    "request_cancel",
    "run",
    "submit",
    "succeeded",
    "transition",
    "watch",
]

MAX_PRIORITY = 100
"""Priorities are −100 … 100."""


async def submit(
    gateway: Gateway,
    *,
    kind: str,
    config: Mapping[str, Any],
    capability: str,
    dedup_key: str | None,
    rng_seed: int,
    inputs: Sequence[tuple[str, str]],
    force: bool = False,
    code_version: str | None = None,
    parent: str | None = None,
    priority: int = 0,
    time_limit: float | None = None,
) -> RunRow:
    """Write a QUEUED run with USED {role} to each input (uid, role), in one transaction; return at once.

    A run with the same `dedup_key` that is under way or has succeeded is returned instead. `force` makes a new one,
    without a key. It is PART_OF its `parent` either way. Runs of higher `priority` are claimed first; `time_limit` is
    how many seconds it may be worked for, over all attempts.

    Raises:
        NotFound: for an input or a parent that is not in the graph.
        GraphError: PARENT_ENDED, where the parent has ended or is to stop; BAD_RUN for what no run can have.
    """
    if type(priority) is not int or abs(priority) > MAX_PRIORITY:
        raise GraphError("BAD_RUN", f"expected a priority within ±{MAX_PRIORITY}, got {priority!r}.")
    if time_limit is not None and not (0 < time_limit < math.inf):
        raise GraphError("BAD_RUN", f"expected a time limit above 0 s, got {time_limit!r}.")
    parameters = {
        "uid": event_uid(),
        "label": _known(kind, RUN_LABELS),
        "dedup_key": None if force else dedup_key,
        "properties": {
            "kind": kind,
            "state": "QUEUED",
            "capability": _known(capability, {name: name for name in CAPABILITIES}),
            "config_json": canonical_json(config).decode(),
            "rng_seed": rng_seed,
            "code_version": code_version,
            "attempt": 1,
            "losses": 0,
            "cancel_requested": False,
            "progress": 0.0,
            "message": "",
            "seq": 1,
            "priority": priority,
            "rank": -priority,
            "time_limit": None if time_limit is None else float(time_limit),
        },
    }
    query = _CREATE if parameters["dedup_key"] is None else _CREATE_ONCE

    async def work(tx: AsyncManagedTransaction) -> RunRow:
        if parent is not None:
            await run_family.adopting(tx, parent)
        created = await (await tx.run(query, parameters)).single(strict=True)
        if created["uid"] == parameters["uid"]:
            links = [{"uid": uid, "role": role} for uid, role in inputs]
            result = await tx.run(_USE, uid=parameters["uid"], inputs=links)
            records = [record async for record in result]
            for record in records:
                if not record["found"]:
                    raise NotFound("input", record["uid"], next_step="Ingest or train it first.")
                if record["removed"]:
                    again = "Use a later checkpoint of its model: its files were removed when better ones were there."
                    raise NotFound("files of Checkpoint", record["uid"], next_step=again)
        if parent is not None:
            await run_family.adopt(tx, created["uid"], parent, made=created["uid"] == parameters["uid"])
        row = await (await tx.run(_GET, uid=created["uid"])).single(strict=True)
        return run_of(row.data())

    return await gateway.transact(work)


async def run(gateway: Gateway, uid: str) -> RunRow:
    """The run of this uid; raises NotFound."""
    rows = await gateway.read(_GET, uid=uid)
    if not rows:
        raise NotFound("Run", uid, next_step="`fieldgraph runs list` shows those that exist.")
    return run_of(rows[0])


async def succeeded(gateway: Gateway, dedup_key: str) -> RunRow | None:
    """The run of this key, if it has succeeded: `submit` would return it."""
    rows = await gateway.read(_SUCCEEDED, dedup_key=dedup_key)
    return run_of(rows[0]) if rows else None


async def list_runs(
    gateway: Gateway,
    *,
    kind: str | None = None,
    state: str | None = None,
    capability: str | None = None,
    parent: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
    after: str | None = None,
) -> list[RunRow]:
    """Runs, newest first; `after` is the uid of the last one seen (a UUIDv7 sorts by time).

    `parent`: those that are part of this run; `since`: those that were asked for then or later.
    """
    rows = await gateway.read(
        _LIST, kind=kind, state=state, capability=capability, parent=parent, since=since, limit=limit, after=after
    )
    return [run_of(row) for row in rows]


async def watch(gateway: Gateway, uids: Sequence[str]) -> list[RunRow]:
    """The watched runs as they are now, in one query; the unknown are left out."""
    rows = await gateway.read(_WATCH, uids=list(uids), limit=len(uids))
    return [run_of(row) for row in rows]


async def transition(
    gateway: Gateway,
    uid: str,
    from_: str,
    to: str,
    lease_token: str | None,
    *,
    delay: float = 0.0,
    lost: bool = False,
    **fields: Any,
) -> RunRow | None:
    """Move a run from one state to the next; None where it is no longer in `from_` under this token.

    `fields` are what the new state comes with: message, error_code, energy_joules, … Entering QUEUED counts an
    attempt (and a loss where that was `lost`, not handed back), and nobody claims the run for `delay` seconds; entering
    QUEUED or a terminal state drops the lease; FAILED and CANCELLED free the `dedup_key` and cancel what was part of
    the run.
    Raises GraphError for a move that no run can make; LEASED is entered by `claim`, which makes the token.
    """
    possible = TRANSITIONS.get(from_, frozenset()) - {"LEASED"}
    if to not in possible:
        expected = ", ".join(sorted(possible)) or "none"
        raise GraphError("BAD_TRANSITION", f"expected one of {expected} after {from_}, got {to}.")
    unknown = fields.keys() - OUTCOME_FIELDS
    if unknown:
        raise GraphError(
            "BAD_FIELD",
            f"expected fields out of {', '.join(sorted(OUTCOME_FIELDS))}, got {', '.join(sorted(unknown))}.",
        )
    row = await move(gateway, uid, from_, to, lease_token, fields=fields, delay=delay, lost=lost)
    if row is not None and to in {"FAILED", "CANCELLED"}:
        await run_family.cancel_children(gateway, uid)
    return row


async def heartbeat(
    gateway: Gateway,
    uid: str,
    lease_token: str,
    lease_seconds: float,
    *,
    joules: float | None = None,
    source: str | None = None,
) -> Heartbeat | None:
    """Renew the lease; None where it was lost. A run that was part of others is to stop once nobody waits for it.

    `joules`: what this attempt has spent so far, which is all that is known of it should its worker be lost.
    """
    rows = await gateway.write(
        _HEARTBEAT, uid=uid, lease_token=lease_token, lease_seconds=lease_seconds, joules=joules, source=source
    )
    return Heartbeat(**native(rows[0])) if rows else None


async def report(gateway: Gateway, uid: str, lease_token: str, progress: float, message: str) -> Heartbeat | None:
    """Say how far the run is (0 … 1); None where the lease was lost. The caller keeps it to twice a second."""
    rows = await gateway.write(_REPORT, uid=uid, lease_token=lease_token, progress=progress, message=message)
    return Heartbeat(**native(rows[0])) if rows else None


async def request_cancel(gateway: Gateway, uid: str) -> RunRow:
    """Cancel a QUEUED run at once; ask the worker of a leased one to stop. A finished run stays as it is.

    Its children go with it, and theirs, unless they are part of another run that goes on.
    """
    await run_family.cancel(gateway, uid)
    return await run(gateway, uid)


def _known(name: str, registry: Mapping[str, str]) -> str:
    try:
        return registry[name]
    except KeyError:
        raise GraphError("BAD_RUN", f"expected one of {', '.join(registry)}, got {name!r}.") from None


_CREATE: LiteralString = """
CREATE (r:Run {uid: $uid})
SET r:$($label), r += $properties, r.created_at = datetime(),
  r.not_before = datetime()
RETURN r.uid AS uid
"""

_CREATE_ONCE: LiteralString = """
MERGE (r:Run {dedup_key: $dedup_key})
ON CREATE SET r:$($label), r.uid = $uid, r += $properties, r.created_at = datetime(),
  r.not_before = datetime()
RETURN r.uid AS uid
"""

# one index seek per label that a run may use: a match without a label would scan the graph
_USE: LiteralString = """
MATCH (r:Run {uid: $uid})
UNWIND $inputs AS input
OPTIONAL MATCH (sequence:Sequence {uid: input.uid})
OPTIONAL MATCH (split:Split {uid: input.uid})
OPTIONAL MATCH (model:Model {uid: input.uid})
OPTIONAL MATCH (checkpoint:Checkpoint {uid: input.uid})
OPTIONAL MATCH (snapshot:EnergySnapshot {uid: input.uid})
OPTIONAL MATCH (domain:Domain {name: input.uid})
OPTIONAL MATCH (coupling:CouplingGraph {uid: input.uid})
WITH r, input, coalesce(sequence, split, model, checkpoint, snapshot, domain, coupling) AS used
FOREACH (node IN CASE WHEN used IS NULL THEN [] ELSE [used] END | MERGE (r)-[:USED {role: input.role}]->(node))
RETURN input.uid AS uid, used IS NOT NULL AS found, used.removed_at IS NOT NULL AS removed
"""

_GET: LiteralString = "MATCH (r:Run {uid: $uid})" + RUN_ROW + "LIMIT 1"

_SUCCEEDED: LiteralString = "MATCH (r:Run {dedup_key: $dedup_key}) WHERE r.state = 'SUCCEEDED'" + RUN_ROW + "LIMIT 1"

_LIST: LiteralString = (
    """
MATCH (r:Run)
WHERE r.uid < coalesce($after, '~') AND ($kind IS NULL OR r.kind = $kind) AND ($state IS NULL OR r.state = $state)
  AND ($capability IS NULL OR r.capability = $capability) AND ($since IS NULL OR r.created_at >= $since)
  AND ($parent IS NULL OR EXISTS { (r)-[:PART_OF]->(:Run {uid: $parent}) })
WITH r ORDER BY r.uid DESC LIMIT $limit
"""
    + RUN_ROW
    + "ORDER BY r.uid DESC LIMIT $limit"
)

_WATCH: LiteralString = "MATCH (r:Run) WHERE r.uid IN $uids" + RUN_ROW + "LIMIT $limit"

_HEARTBEAT: LiteralString = (
    """
MATCH (r:Run {uid: $uid})
SET r.touched_at = datetime()
WITH r WHERE r.lease_token = $lease_token AND r.state IN ['LEASED', 'RUNNING']
SET r.lease_until = datetime() + duration({milliseconds: toInteger(1000 * $lease_seconds)}),
  r.attempt_joules = coalesce($joules, r.attempt_joules), r.attempt_source = coalesce($source, r.attempt_source)
RETURN r.cancel_requested OR ("""
    + run_family.NOBODY_WAITS
    + """) AS cancel_requested,
  r.lease_until AS lease_until, r.seq AS seq
"""
)

_REPORT: LiteralString = """
MATCH (r:Run {uid: $uid})
SET r.touched_at = datetime()
WITH r WHERE r.lease_token = $lease_token AND r.state IN ['LEASED', 'RUNNING']
SET r.progress = $progress, r.message = $message, r.seq = r.seq + 1
RETURN r.cancel_requested AS cancel_requested, r.lease_until AS lease_until, r.seq AS seq
"""
