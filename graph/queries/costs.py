"""What finished runs took, for whoever wants to know what the next one will."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

from graph.gateway import Gateway
from graph.queries.rows import parsed

MOST = 500
"""Runs of a kind that are looked at, the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """A run that succeeded, and what it took over all its attempts."""

    uid: str
    config: Mapping[str, Any]
    device: str | None
    seconds: float
    # None where nobody knows, or where sources differ
    joules: float | None
    source: str | None


async def took(gateway: Gateway, kind: str, *, limit: int = MOST) -> list[Took]:
    """The latest runs of a kind that succeeded here, latest first."""
    rows = await gateway.read(_TOOK, kind=kind, limit=limit)
    return [Took(config=parsed(row.pop("config_json")), **row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Joules that a run has taken so far: measured and estimated have no sum."""

    measured: float = 0.0
    estimated: float = 0.0


async def spending(gateway: Gateway, run: str) -> Spending:
    """What a run has taken so far, as its worker last said; nothing where nothing is known."""
    rows = await gateway.read(_SPENDING, run=run)
    return Spending(**rows[0]) if rows else Spending()


_SPENDING: LiteralString = """
MATCH (r:Run {uid: $run})
WITH r, coalesce(r.attempt_joules, 0.0) AS now, coalesce(r.attempt_source STARTS WITH 'estimated', false) AS guessed
RETURN coalesce(r.energy_measured, 0.0) + CASE WHEN guessed THEN 0.0 ELSE now END AS measured,
  coalesce(r.energy_estimated, 0.0) + CASE WHEN guessed THEN now ELSE 0.0 END AS estimated LIMIT 1
"""

_TOOK: LiteralString = """
MATCH (r:Run {kind: $kind, state: 'SUCCEEDED'})
WHERE r.finished_at IS NOT NULL AND r.seconds > 0
WITH r ORDER BY r.finished_at DESC LIMIT $limit
RETURN r.uid AS uid, r.config_json AS config_json, r.device AS device, r.seconds AS seconds,
  r.energy_joules AS joules, r.energy_source AS source
"""
