"""Coupling graphs: drawn by hand or by the API, read as one description, written in one transaction.

A description is what `nvp.coordinator.description` takes: modules by key, couplings by their ends. Whatever is no known
name on a node or link is a parameter of its kind, so that a wrong name is told and not passed over. What a drawing says
includes the evidence for the hypotheses that its order parameters measure: `digest` changes with either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, LiteralString

from neo4j import AsyncManagedTransaction

from graph.errors import Conflict, GraphError, NotFound
from graph.gateway import Gateway
from graph.identity import coupling_graph_uid, order_parameter_uid
from graph.queries import module_events
from graph.queries.drawing import READ, Drawn, as_read, of_row

KNOWN = 10
"""Names of coupling graphs that a message has at most."""

LONGEST_NAME = 200


async def drawn(gateway: Gateway, name: str) -> Drawn:
    """The coupling graph of this name; raises NotFound, and GraphError where a benefit has two values."""
    rows = await gateway.read(READ, name=name)
    if not rows:
        known = await names(gateway, limit=KNOWN + 1)
        there = ", ".join([*known[:KNOWN], *(["…"] if len(known) > KNOWN else [])]) or "none yet"
        step = f"Draw it, or write it by upsertCouplingGraph; there is {there}."
        raise NotFound("CouplingGraph", name, by="name", next_step=step)
    return of_row(rows[0])


async def names(gateway: Gateway, *, limit: int, after: str = "") -> list[str]:
    """Names of coupling graphs in order."""
    return [row["name"] for row in await gateway.read(NAMES, after=after, limit=limit)]


async def adopt(gateway: Gateway, name: str) -> str:
    """Give what was drawn by hand its uids; the graph's."""
    keys = (await drawn(gateway, name)).description["modules"]
    uids = {each["key"]: order_parameter_uid(name, each["key"]) for each in keys}
    rows = await gateway.write(ADOPT, name=name, uid=coupling_graph_uid(name), uids=uids)
    return str(rows[0]["uid"])


async def upsert(
    gateway: Gateway,
    name: str,
    description: Mapping[str, Any],
    *,
    title: str | None = None,
    expected_version: int | None = None,
) -> Drawn:
    """Make the graph what the (normal) description says; order parameters that stay keep their η and what they measure.

    Raises Conflict where `expected_version` is not the graph's (0 for one that is not there yet), and GraphError where
    the name is none.
    """
    require_name(name)

    async def work(tx: AsyncManagedTransaction) -> Drawn:
        locked = await (await tx.run(LOCK, name=name, uid=coupling_graph_uid(name), title=title)).single(strict=True)
        if expected_version is not None and locked["version"] != expected_version:
            raise Conflict(
                "STALE_VERSION",
                f"expected version {expected_version} of coupling graph {name!r}, got {locked['version']}.",
                next_step="Read it again, and repeat the change.",
            )
        known = await (await tx.run(READ, name=name)).single()
        before = of_row(known.data()) if known is not None else None
        if before is None or before.version == 0 or before.description != as_read(description):
            await write(tx, name, description, before=before)
        return of_row((await (await tx.run(READ, name=name)).single(strict=True)).data())

    return await gateway.transact(work)


def require_name(name: str) -> None:
    """Refuse a name that no index holds or no line of text shows."""
    if not (0 < len(name) <= LONGEST_NAME and name.isprintable() and name.strip()):
        shown = repr(name[:LONGEST_NAME]) + ("…" if len(name) > LONGEST_NAME else "")
        raise GraphError(
            "BAD_NAME",
            f"expected a name of 1 to {LONGEST_NAME} printable characters for a coupling graph, got {shown}.",
            next_step="Name it otherwise.",
        )


async def require_unchanged(tx: AsyncManagedTransaction, name: str, digest: str) -> Drawn:
    """The graph, which `tx` has locked, as it was when its `digest` was taken; raises Conflict where it is another."""
    found = await (await tx.run(READ, name=name)).single()
    now = of_row(found.data()) if found is not None else None
    if now is None or now.digest != digest:
        raise Conflict(
            "STALE_VERSION",
            f"expected coupling graph {name!r} as it was when this was asked for, got one that was changed since.",
            next_step="Ask again.",
        )
    return now


def with_additions(drawn: Drawn, additions: Mapping[str, Any]) -> dict[str, Any]:
    """The graph's description with further (normal) modules, couplings and deltas."""
    ours = drawn.description
    return {
        **ours,
        "modules": [*ours["modules"], *additions["modules"]],
        "couplings": [*ours["couplings"], *additions["couplings"]],
        "deltas": {**ours["deltas"], **additions["deltas"]},
    }


async def write(
    tx: AsyncManagedTransaction, name: str, description: Mapping[str, Any], *, before: Drawn | None, source: str = "api"
) -> None:
    """Make a graph that `tx` has locked what the (normal) description says; the modules' events say what changed.

    Raises Conflict where another graph holds one of its order parameters, which would change with this one.
    """
    shared = await (await tx.run(SHARED, name=name)).single()
    if shared is not None:
        raise Conflict(
            "SHARED_MODULE",
            f"expected order parameters of {name!r} alone, got {shared['key']!r}, which {shared['other']!r} has too.",
            next_step="Draw one for each graph; both may measure the same.",
        )
    uids = {each["key"]: order_parameter_uid(name, each["key"]) for each in description["modules"]}
    modules = {
        each["key"]: {
            **_flat(each["params"]),
            "key": each["key"],
            "uid": uids[each["key"]],
            "kind": each["kind"],
            "term": each["term"] or None,
            "cost": each["cost"],
        }
        for each in description["modules"]
    }
    couplings = [
        {
            "start": uids[each["from"]],
            "end": uids[each["to"]],
            "properties": {
                **_flat(each["params"]),
                "kind": each["kind"],
                "delta_key": each["delta"] or None,
                "term": each["term"] or None,
            },
        }
        for each in description["couplings"]
    ]
    deltas = [
        {
            "key": key,
            "value": value,
            "gates": sorted({uids[each["from"]] for each in description["couplings"] if each["delta"] == key}),
        }
        for key, value in description["deltas"].items()
    ]
    whole = {
        "weights_json": json.dumps(description["weights"], sort_keys=True),
        "gamma": description["gamma"],
        "tau": description["tau"],
        "budget": description["budget"],
        "allow_missing_delta": description["allow_missing_delta"],
    }
    known = before.description["modules"] if before else []
    changes = module_events.changes(known, as_read(description)["modules"])
    keys_of_deltas = [each["key"] for each in deltas]
    await (await tx.run(CLEAR, name=name, modules=modules, deltas=keys_of_deltas)).consume()
    await (await tx.run(WRITE_GRAPH, name=name, whole=whole)).consume()
    kept = {record["key"] async for record in await tx.run(KEEP_MODULES, name=name, modules=modules)}
    added = [properties for key, properties in modules.items() if key not in kept]
    await (await tx.run(ADD_MODULES, name=name, modules=added)).consume()
    await (await tx.run(WRITE_COUPLINGS, couplings=couplings)).consume()
    await (await tx.run(WRITE_DELTAS, name=name, deltas=deltas)).consume()
    await module_events.add(tx, name, changes, source=source)


def _flat(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as properties: lists of lists, which Neo4j does not have, as JSON."""
    nested = {name for name, value in params.items() if isinstance(value, list | tuple) and _lists(value)}
    return {
        **{name: value for name, value in params.items() if name not in nested},
        **{f"{name}_json": json.dumps(params[name]) for name in nested},
    }


def _lists(value: Any) -> bool:
    return any(isinstance(each, list | tuple) for each in value)


NAMES: LiteralString = """
MATCH (g:CouplingGraph) WHERE g.name > $after
RETURN g.name AS name ORDER BY g.name LIMIT $limit
"""

# the first SET takes the lock, so that of two writers one waits
LOCK: LiteralString = """
MERGE (g:CouplingGraph {name: $name})
ON CREATE SET g.created_at = datetime()
SET g.touched_at = datetime(), g.uid = $uid, g.title = coalesce($title, g.title)
RETURN coalesce(g.version, 0) AS version
"""

# modules are looked up in a map, or by uid: to look for each key among all modules takes minutes for thousands
ADOPT: LiteralString = """
MATCH (g:CouplingGraph {name: $name})
SET g.uid = $uid
WITH g
MATCH (g)-[:HAS_MODULE]->(p:OrderParameter)
SET p.uid = $uids[p.key]
RETURN DISTINCT g.uid AS uid
"""

SHARED: LiteralString = """
MATCH (g:CouplingGraph {name: $name})-[:HAS_MODULE]->(p:OrderParameter)<-[:HAS_MODULE]-(other:CouplingGraph)
WHERE other <> g
RETURN p.key AS key, other.name AS other LIMIT 1
"""

CLEAR: LiteralString = """
MATCH (g:CouplingGraph {name: $name})
OPTIONAL MATCH (g)-[:HAS_MODULE]->(p:OrderParameter)
OPTIONAL MATCH (p)-[c:COUPLED_TO]->(:OrderParameter)
DELETE c
WITH DISTINCT g, p
FOREACH (gone IN CASE WHEN $modules[p.key] IS NOT NULL THEN [] ELSE [p] END | DETACH DELETE gone)
WITH DISTINCT g
OPTIONAL MATCH (g)-[:HAS_DELTA]->(d:Delta)
DETACH DELETE d
WITH DISTINCT g
OPTIONAL MATCH (g)-[:HAS_MODULE]->(:OrderParameter)<-[f:FEEDS]-(d:Delta) WHERE NOT d.key IN $deltas
DELETE f
"""

WRITE_GRAPH: LiteralString = """
MATCH (g:CouplingGraph {name: $name})
SET g += $whole, g.version = coalesce(g.version, 0) + 1
"""

KEEP_MODULES: LiteralString = """
MATCH (:CouplingGraph {name: $name})-[:HAS_MODULE]->(p:OrderParameter)
WITH p, p {.key, .eta, .eta_source, .title, .note, .version} AS kept
SET p = $modules[p.key]
SET p += kept
RETURN p.key AS key
"""

ADD_MODULES: LiteralString = """
MATCH (g:CouplingGraph {name: $name})
UNWIND $modules AS module
CREATE (g)-[:HAS_MODULE]->(p:OrderParameter)
SET p = module
"""

WRITE_COUPLINGS: LiteralString = """
UNWIND $couplings AS coupling
MATCH (p:OrderParameter {uid: coupling.start})
MATCH (q:OrderParameter {uid: coupling.end})
CREATE (p)-[c:COUPLED_TO]->(q)
SET c = coupling.properties
"""

# a benefit that was drawn by hand, and may say where it comes from, stays the one of its key
WRITE_DELTAS: LiteralString = """
MATCH (g:CouplingGraph {name: $name})
UNWIND $deltas AS delta
OPTIONAL MATCH (g)-[:HAS_MODULE]->(:OrderParameter)<-[:FEEDS]-(drawn:Delta {key: delta.key})
WITH g, delta, collect(DISTINCT drawn) AS drawn
FOREACH (_ IN CASE WHEN drawn = [] THEN [1] ELSE [] END |
  CREATE (g)-[:HAS_DELTA]->(:Delta {key: delta.key, value: delta.value}))
FOREACH (d IN drawn | SET d.value = delta.value)
WITH g, delta, drawn
OPTIONAL MATCH (g)-[:HAS_DELTA]->(made:Delta {key: delta.key})
WITH g, delta, drawn, collect(made) AS made
UNWIND drawn + made AS d
UNWIND delta.gates AS gate
MATCH (p:OrderParameter {uid: gate})
MERGE (d)-[:FEEDS]->(p)
"""
