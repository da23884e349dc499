"""Runs: durable, leased, resumable; the only place where a Run changes.

    QUEUED -> LEASED -> RUNNING -> SUCCEEDED | FAILED | CANCELLED

An expired lease returns a Run to QUEUED with the next attempt. `_MOVE` is the only Cypher that changes `state`: it
takes the lock first (by a write) and looks at state and token after, so that of two movers one wins and the other
gets no row. Times are Neo4j's, so that clocks of workers do not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString
from uuid import uuid4

from neo4j import AsyncManagedTransaction

from graph.errors import GraphError, NotFound
from graph.gateway import Gateway
from graph.identity import canonical_json, event_uid
from graph.queries.leases import Lease, LeaseLost
from graph.queries.rows import native, parsed
from graph.queries.run_rows import (
    CAPABILITIES,
    OUTCOME_FIELDS,
    RUN_LABELS,
    TERMINAL_STATES,
    TRANSITIONS,
    Heartbeat,
    RunRow,
)

__all__ = [
    "CAPABILITIES",
    "RUN_LABELS",
    "TERMINAL_STATES",
    "TRANSITIONS",
    "Heartbeat",
    "Lease",
    "LeaseLost",
    "RunRow",
    "claim",
    "heartbeat",
    "list_runs",
    "reap",
    "report",
    "request_cancel",
    "run",
    "submit",
    "transition",
    "watch",
]

CANDIDATES = 64
"""How many of the oldest QUEUED runs one claim looks at; more workers than that would wait for their next poll."""


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
) -> RunRow:
    """Write a QUEUED run with USED {role} to each input (uid, role), in one transaction; return at once.

    A run with the same `dedup_key` that is under way or has succeeded is returned instead. `force` makes a new one,
    without a key. Raises NotFound for an input that is not in the graph.
    """
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
            "cancel_requested": False,
            "progress": 0.0,
            "message": "",
            "seq": 1,
        },
    }
    query = _CREATE if parameters["dedup_key"] is None else _CREATE_ONCE

    async def work(tx: AsyncManagedTransaction) -> RunRow:
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
        row = await (await tx.run(_GET, uid=created["uid"])).single(strict=True)
        return _run(row.data())

    return await gateway.transact(work)


async def run(gateway: Gateway, uid: str) -> RunRow:
    """The run of this uid; raises NotFound."""
    rows = await gateway.read(_GET, uid=uid)
    if not rows:
        raise NotFound("Run", uid, next_step="`fieldgraph runs list` shows those that exist.")
    return _run(rows[0])


async def list_runs(
    gateway: Gateway,
    *,
    kind: str | None = None,
    state: str | None = None,
    limit: int = 50,
    after: str | None = None,
) -> list[RunRow]:
    """Runs, newest first; `after` is the uid of the last one seen (a UUIDv7 sorts by time)."""
    rows = await gateway.read(_LIST, kind=kind, state=state, limit=limit, after=after)
    return [_run(row) for row in rows]


async def watch(gateway: Gateway, uids: Sequence[str]) -> list[RunRow]:
    """The watched runs as they are now, in one query; the unknown are left out."""
    rows = await gateway.read(_WATCH, uids=list(uids), limit=len(uids))
    return [_run(row) for row in rows]


async def claim(
    gateway: Gateway,
    *,
    capability: str,
    worker: str,
    lease_seconds: float,
    limit: int = 1,
    only: str | None = None,
) -> list[RunRow]:
    """Lease up to `limit` QUEUED runs, oldest first (`only`: just the run of this uid); each goes to one claimer.

    A run that another claimer takes between our look and our write is passed over, not waited for.
    """
    candidates = await gateway.read(_CANDIDATES, capability=capability, only=only, limit=CANDIDATES)
    claimed: list[RunRow] = []
    for candidate in candidates:
        if len(claimed) == limit:
            break
        row = await _move(
            gateway,
            candidate["uid"],
            "QUEUED",
            "LEASED",
            None,
            fields={"worker": worker, "message": ""},
            new_token=str(uuid4()),
            lease_seconds=lease_seconds,
        )
        if row is not None:
            claimed.append(row)
    return claimed


async def transition(
    gateway: Gateway, uid: str, from_: str, to: str, lease_token: str | None, **fields: Any
) -> RunRow | None:
    """Move a run from one state to the next; None where it is no longer in `from_` under this token.

    `fields` are what the new state comes with: message, error_code, energy_joules, … Entering QUEUED counts an
    attempt; entering QUEUED or a terminal state drops the lease; FAILED and CANCELLED free the `dedup_key`.
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
    return await _move(gateway, uid, from_, to, lease_token, fields=fields)


async def heartbeat(gateway: Gateway, uid: str, lease_token: str, lease_seconds: float) -> Heartbeat | None:
    """Renew the lease; None where it was lost."""
    rows = await gateway.write(_HEARTBEAT, uid=uid, lease_token=lease_token, lease_seconds=lease_seconds)
    return Heartbeat(**native(rows[0])) if rows else None


async def report(gateway: Gateway, uid: str, lease_token: str, progress: float, message: str) -> Heartbeat | None:
    """Say how far the run is (0 … 1); None where the lease was lost. The caller keeps it to twice a second."""
    rows = await gateway.write(_REPORT, uid=uid, lease_token=lease_token, progress=progress, message=message)
    return Heartbeat(**native(rows[0])) if rows else None


async def reap(gateway: Gateway, *, max_attempts: int) -> int:
    """Return runs with an expired lease to the queue; how many were moved.

    One whose cancellation was asked for is CANCELLED, one that used up its attempts is FAILED.
    """
    moved = 0
    for expired in await gateway.read(_EXPIRED, limit=CANDIDATES):
        if expired["cancel_requested"]:
            to, fields = "CANCELLED", {"message": "cancelled after its worker was lost"}
        elif expired["attempt"] >= max_attempts:
            to, fields = (
                "FAILED",
                {
                    "error_code": "LEASE_EXPIRED",
                    "error_message": f"the worker was lost in each of {expired['attempt']} attempts.",
                },
            )
        else:
            to, fields = "QUEUED", {"message": "its worker was lost; waiting for the next"}
        row = await _move(
            gateway, expired["uid"], expired["state"], to, expired["lease_token"], fields=fields, expired=True
        )
        moved += row is not None
    return moved


async def request_cancel(gateway: Gateway, uid: str) -> RunRow:
    """Cancel a QUEUED run at once; ask the worker of a leased one to stop. A finished run stays as it is."""
    while True:
        row = await _move(gateway, uid, "QUEUED", "CANCELLED", None, fields={"message": "cancelled before it started"})
        if row is not None:
            return row
        rows = await gateway.write(_REQUEST_CANCEL, uid=uid)
        if rows:
            return _run(rows[0])
        row = await run(gateway, uid)
        if row.finished:
            return row
        # it went back to the queue between the two writes: try again


async def _move(
    gateway: Gateway,
    uid: str,
    from_: str,
    to: str,
    lease_token: str | None,
    *,
    fields: Mapping[str, Any],
    new_token: str | None = None,
    lease_seconds: float | None = None,
    expired: bool = False,
) -> RunRow | None:
    rows = await gateway.write(
        _MOVE,
        uid=uid,
        from_state=from_,
        to_state=to,
        lease_token=lease_token,
        fields=dict(fields),
        new_token=new_token,
        lease_seconds=lease_seconds,
        expired=expired,
    )
    return _run(rows[0]) if rows else None


def _run(row: Mapping[str, Any]) -> RunRow:
    values = native(row["run"])
    return RunRow(config=parsed(values.pop("config_json")), **values)


def _known(name: str, registry: Mapping[str, str]) -> str:
    try:
        return registry[name]
    except KeyError:
        raise GraphError("BAD_RUN", f"expected one of {', '.join(registry)}, got {name!r}.") from None


_ROW: LiteralString = """
RETURN r {.uid, .kind, .state, .capability, .config_json, .dedup_key, .rng_seed, .attempt, .lease_token, .lease_until,
  .worker, .cancel_requested, .progress, .message, .seq, .device, .code_version, .energy_joules, .energy_source,
  .created_at, .started_at, .finished_at, .error_code, .error_message, offline: coalesce(r.offline, false)} AS run
"""

_CREATE: LiteralString = """
CREATE (r:Run {uid: $uid})
SET r:$($label), r += $properties, r.created_at = datetime()
RETURN r.uid AS uid
"""

_CREATE_ONCE: LiteralString = """
MERGE (r:Run {dedup_key: $dedup_key})
ON CREATE SET r:$($label), r.uid = $uid, r += $properties, r.created_at = datetime()
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

_GET: LiteralString = "MATCH (r:Run {uid: $uid})" + _ROW + "LIMIT 1"

_LIST: LiteralString = (
    """
MATCH (r:Run)
WHERE r.uid < coalesce($after, '~') AND ($kind IS NULL OR r.kind = $kind) AND ($state IS NULL OR r.state = $state)
WITH r ORDER BY r.uid DESC LIMIT $limit
"""
    + _ROW
    + "ORDER BY r.uid DESC LIMIT $limit"
)

_WATCH: LiteralString = "MATCH (r:Run) WHERE r.uid IN $uids" + _ROW + "LIMIT $limit"

# an index over several properties serves those who name them all, in its own order
_CANDIDATES: LiteralString = """
MATCH (r:Run {state: 'QUEUED', capability: $capability})
WHERE r.created_at IS NOT NULL AND ($only IS NULL OR r.uid = $only)
RETURN r.uid AS uid ORDER BY r.created_at, r.uid LIMIT $limit
"""

_EXPIRED: LiteralString = """
MATCH (r:Run) WHERE r.state IN ['LEASED', 'RUNNING'] AND r.lease_until < datetime()
RETURN r.uid AS uid, r.state AS state, r.lease_token AS lease_token, r.attempt AS attempt,
  r.cancel_requested AS cancel_requested
ORDER BY r.lease_until LIMIT $limit
"""

# the first SET takes the lock; only then is the guard read
_MOVE: LiteralString = (
    """
MATCH (r:Run {uid: $uid})
SET r.touched_at = datetime()
WITH r
WHERE r.state = $from_state
  AND (r.lease_token = $lease_token OR (r.lease_token IS NULL AND $lease_token IS NULL))
  AND ($expired = false OR r.lease_until < datetime())
SET r += $fields, r.state = $to_state, r.seq = r.seq + 1
FOREACH (_ IN CASE WHEN $to_state = 'LEASED' THEN [1] ELSE [] END |
  SET r.lease_token = $new_token,
      r.lease_until = datetime() + duration({milliseconds: toInteger(1000 * $lease_seconds)}))
FOREACH (_ IN CASE WHEN $to_state = 'RUNNING' THEN [1] ELSE [] END |
  SET r.started_at = coalesce(r.started_at, datetime()))
FOREACH (_ IN CASE WHEN $to_state = 'QUEUED' THEN [1] ELSE [] END |
  SET r.attempt = r.attempt + 1, r.lease_token = null, r.lease_until = null, r.worker = null)
FOREACH (_ IN CASE WHEN $to_state IN ['SUCCEEDED', 'FAILED', 'CANCELLED'] THEN [1] ELSE [] END |
  SET r.finished_at = datetime(), r.lease_token = null, r.lease_until = null)
FOREACH (_ IN CASE WHEN $to_state IN ['FAILED', 'CANCELLED'] THEN [1] ELSE [] END | SET r.dedup_key = null)
"""
    + _ROW
)

_HEARTBEAT: LiteralString = """
MATCH (r:Run {uid: $uid})
SET r.touched_at = datetime()
WITH r WHERE r.lease_token = $lease_token AND r.state IN ['LEASED', 'RUNNING']
SET r.lease_until = datetime() + duration({milliseconds: toInteger(1000 * $lease_seconds)})
RETURN r.cancel_requested AS cancel_requested, r.lease_until AS lease_until, r.seq AS seq
"""

_REPORT: LiteralString = """
MATCH (r:Run {uid: $uid})
SET r.touched_at = datetime()
WITH r WHERE r.lease_token = $lease_token AND r.state IN ['LEASED', 'RUNNING']
SET r.progress = $progress, r.message = $message, r.seq = r.seq + 1
RETURN r.cancel_requested AS cancel_requested, r.lease_until AS lease_until, r.seq AS seq
"""

_REQUEST_CANCEL: LiteralString = (
    """
MATCH (r:Run {uid: $uid})
SET r.touched_at = datetime()
WITH r WHERE r.state IN ['LEASED', 'RUNNING']
SET r.cancel_requested = true, r.seq = r.seq + 1
"""
    + _ROW
)
