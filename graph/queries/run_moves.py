"""The one Cypher by which a Run changes its state.

    QUEUED -> LEASED -> RUNNING -> SUCCEEDED | FAILED | CANCELLED

It takes the lock first (by a write) and looks at state and token after, so that of two movers one wins and the other
gets no row. Times are Neo4j's, so that clocks of workers do not matter.

An attempt that ends is charged to the run: the time that it was RUNNING, and its energy, as its worker says or as its
last sign of life said. Joules of different sources are not added: then `energy_joules` is null and `energy_source`
"mixed", while `energy_measured` and `energy_estimated` each have their own sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString

from graph.gateway import Gateway
from graph.queries.run_rows import RUN_ROW, RunRow, run_of


async def move(
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
    delay: float = 0.0,
    lost: bool = False,
) -> RunRow | None:
    """The run in its new state; None where it was no longer in `from_` under this token (`expired`: or held again).

    `delay`: seconds until a run that enters QUEUED may be claimed; `lost`: it does so because its attempt was lost.
    """
    values = dict(fields)
    rows = await gateway.write(
        _MOVE,
        uid=uid,
        from_state=from_,
        to_state=to,
        lease_token=lease_token,
        joules=values.pop("energy_joules", None),
        source=values.pop("energy_source", None),
        fields=values,
        new_token=new_token,
        lease_seconds=lease_seconds,
        expired=expired,
        delay=delay,
        lost=lost,
    )
    return run_of(rows[0]) if rows else None


# the first SET takes the lock; only then is the guard read. A run of an older graph has neither
# attempt_started_at nor losses.
_MOVE: LiteralString = (
    """
MATCH (r:Run {uid: $uid})
SET r.touched_at = datetime()
WITH r
WHERE r.state = $from_state
  AND (r.lease_token = $lease_token OR (r.lease_token IS NULL AND $lease_token IS NULL))
  AND ($expired = false OR r.lease_until < datetime())
  AND ($to_state <> 'LEASED' OR coalesce(r.not_before, r.created_at) <= datetime())
WITH r, $from_state = 'RUNNING' AS worked, coalesce($joules, r.attempt_joules) AS joules,
  coalesce($source, r.attempt_source) AS source
SET r += $fields, r.state = $to_state, r.seq = r.seq + 1
FOREACH (_ IN CASE WHEN worked THEN [1] ELSE [] END |
  SET r.seconds = coalesce(r.seconds, 0.0) + coalesce(duration.inSeconds(
        coalesce(r.attempt_started_at, r.started_at), datetime()).milliseconds / 1000.0, 0.0),
      r.attempt_started_at = null, r.attempt_joules = null, r.attempt_source = null)
FOREACH (_ IN CASE WHEN worked AND (joules IS NULL OR source IS NULL) THEN [1] ELSE [] END |
  SET r.unmetered = coalesce(r.unmetered, 0) + 1)
FOREACH (_ IN CASE WHEN worked AND joules IS NOT NULL AND source IS NOT NULL THEN [1] ELSE [] END |
  SET r.energy_joules = CASE WHEN coalesce(r.energy_source, source) = source
        THEN coalesce(r.energy_joules, 0.0) + joules END,
      r.energy_source = CASE WHEN coalesce(r.energy_source, source) = source THEN source ELSE 'mixed' END,
      r.energy_estimated = CASE WHEN source STARTS WITH 'estimated'
        THEN coalesce(r.energy_estimated, 0.0) + joules ELSE r.energy_estimated END,
      r.energy_measured = CASE WHEN source STARTS WITH 'estimated'
        THEN r.energy_measured ELSE coalesce(r.energy_measured, 0.0) + joules END)
FOREACH (_ IN CASE WHEN $to_state = 'LEASED' THEN [1] ELSE [] END |
  SET r.lease_token = $new_token,
      r.lease_until = datetime() + duration({milliseconds: toInteger(1000 * $lease_seconds)}))
FOREACH (_ IN CASE WHEN $to_state = 'RUNNING' THEN [1] ELSE [] END |
  SET r.started_at = coalesce(r.started_at, datetime()), r.attempt_started_at = datetime())
FOREACH (_ IN CASE WHEN $to_state = 'QUEUED' THEN [1] ELSE [] END |
  SET r.losses = coalesce(r.losses, r.attempt - 1) + CASE WHEN $lost THEN 1 ELSE 0 END,
      r.attempt = r.attempt + 1, r.lease_token = null, r.lease_until = null, r.worker = null,
      r.rank = coalesce(r.rank, 0),
      r.not_before = datetime() + duration({milliseconds: toInteger(1000 * $delay)}))
FOREACH (_ IN CASE WHEN $to_state IN ['SUCCEEDED', 'FAILED', 'CANCELLED'] THEN [1] ELSE [] END |
  SET r.finished_at = datetime(), r.lease_token = null, r.lease_until = null)
FOREACH (_ IN CASE WHEN $to_state IN ['FAILED', 'CANCELLED'] THEN [1] ELSE [] END | SET r.dedup_key = null)
"""
    + RUN_ROW
)
