"""Events of order parameters: what was made of them, changed, taken away or moved, by whom and when.

    (:ModuleEvent {event, key, graph, version, at, source, payload_json})-[:HAPPENED_TO]->(:OrderParameter {version})

An order parameter's `version` counts its changes. An event is written by the transaction that makes the change, so
that there is neither without the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from neo4j import AsyncManagedTransaction

from graph.identity import event_uid

EVENTS = ("CREATED", "CHANGED", "REMOVED", "MOVED")


def changes(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What makes the modules of one description those of another."""
    old = {each["key"]: each for each in before}
    new = {each["key"]: each for each in after}
    found = [_event("REMOVED", key, was=old[key]) for key in old if key not in new]
    for key, module in new.items():
        if key not in old:
            found.append(_event("CREATED", key, now=module))
        elif old[key] != module:
            found.append(_event("CHANGED", key, was=old[key], now=module))
    return found


def moves(before: Mapping[str, float | None], after: Mapping[str, float]) -> list[dict[str, Any]]:
    """What moved, and from where to where."""
    return [
        _event("MOVED", key, was={"eta": before.get(key)}, now={"eta": eta})
        for key, eta in after.items()
        if before.get(key) != eta
    ]


async def add(tx: AsyncManagedTransaction, graph: str, events: Sequence[Mapping[str, Any]], *, source: str) -> None:
    """Write events of a graph's order parameters, which `tx` has just changed; `source` is a run's uid or a word."""
    by_key = {each["key"]: dict(each) for each in events}
    there = {record["key"] async for record in await tx.run(ADD, graph=graph, source=source, events=by_key)}
    gone = [each for key, each in by_key.items() if key not in there]
    await (await tx.run(ADD_GONE, graph=graph, source=source, events=gone)).consume()


def _event(event: str, key: str, **payload: Any) -> dict[str, Any]:
    return {"uid": event_uid(), "event": event, "key": key, "payload": json.dumps(payload, sort_keys=True)}


ADD: LiteralString = """
MATCH (:CouplingGraph {name: $graph})-[:HAS_MODULE]->(p:OrderParameter) WHERE $events[p.key] IS NOT NULL
WITH p, $events[p.key] AS event
SET p.version = coalesce(p.version, 0) + 1
CREATE (e:ModuleEvent {uid: event.uid, graph: $graph, key: event.key, event: event.event, source: $source,
  at: datetime(), payload_json: event.payload, version: p.version})
CREATE (e)-[:HAPPENED_TO]->(p)
RETURN p.key AS key
"""

ADD_GONE: LiteralString = """
UNWIND $events AS event
CREATE (:ModuleEvent {uid: event.uid, graph: $graph, key: event.key, event: event.event, source: $source,
  at: datetime(), payload_json: event.payload})
"""
