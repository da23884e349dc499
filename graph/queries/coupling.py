"""Coupling graphs: drawn by hand or by the API, read as one description, written in one transaction.

A description is what `nvp.coordinator.description` takes: modules by key, couplings by their ends. Whatever is no known
name on a node or link is a parameter of its kind, so that a wrong name is told and not passed over. What a drawing says
includes the evidence for the hypotheses that its order parameters measure: `digest` changes with either.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

from neo4j import AsyncManagedTransaction

from graph.errors import Conflict, GraphError, NotFound
from graph.gateway import Gateway
from graph.identity import coupling_graph_uid, digest, order_parameter_uid
from graph.queries import module_events

# names on a node or link that are no parameters of its kind
_OF_MODULE = {"uid", "key", "kind", "eta", "eta_source", "term", "title", "note", "version", "cost"}
_OF_COUPLING = {"kind", "delta_key", "term", "title", "note"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A coupling graph as it is in the graph."""

    name: str
    uid: str | None
    version: int
    # for `nvp.coordinator.description.normal`
    description: dict[str, Any]
    # η by key, where one is set
    eta: dict[str, float]
    # for and against the hypothesis that an order parameter measures, by its key
    evidence: dict[str, tuple[float, float]]

    @property
    def digest(self) -> str:
        """sha256 of all that a relaxation depends on but the state; "" where it cannot be relaxed."""
        try:
            return digest([self.description, self.evidence])
        except ValueError:  # a number that is not finite
            return ""


async def drawn(gateway: Gateway, name: str) -> Drawn:
    """The coupling graph of this name; raises NotFound, and GraphError where a benefit has two values."""
    rows = await gateway.read(READ, name=name)
    if not rows:
        raise NotFound("CouplingGraph", name, next_step="Draw it, or write it by upsertCouplingGraph.")
    return of_row(rows[0])


async def names(gateway: Gateway, *, limit: int, after: str = "") -> list[str]:
    """Names of coupling graphs in order."""
    return [row["name"] for row in await gateway.read(NAMES, after=after, limit=limit)]


async def adopt(gateway: Gateway, name: str) -> str:
    """Give what was drawn by hand its uids; the graph's."""
    keys = (await drawn(gateway, name)).description["modules"]
    modules = [{"key": each["key"], "uid": order_parameter_uid(name, each["key"])} for each in keys]
    rows = await gateway.write(ADOPT, name=name, uid=coupling_graph_uid(name), modules=modules)
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

    Raises Conflict where `expected_version` is not the graph's (0 for one that is not there yet).
    """

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
    """Make a graph that `tx` has locked what the (normal) description says; the modules' events say what changed."""
    modules = [
        {
            "key": each["key"],
            "uid": order_parameter_uid(name, each["key"]),
            "properties": {
                **_flat(each["params"]),
                "kind": each["kind"],
                "term": each["term"] or None,
                "cost": each["cost"],
            },
        }
        for each in description["modules"]
    ]
    couplings = [
        {
            "start": each["from"],
            "end": each["to"],
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
            "gates": sorted({each["from"] for each in description["couplings"] if each["delta"] == key}),
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
    kept: dict[str, Any] = {"keys": [each["key"] for each in modules], "deltas": [each["key"] for each in deltas]}
    await (await tx.run(CLEAR, name=name, **kept)).consume()
    await (await tx.run(WRITE_MODULES, name=name, modules=modules, whole=whole)).consume()
    await (await tx.run(WRITE_COUPLINGS, name=name, couplings=couplings)).consume()
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


def _params(properties: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    params = {}
    for name, value in properties.items():
        if name in known:
            continue
        if name.endswith("_json"):
            try:
                params[name.removesuffix("_json")] = json.loads(value)
            except (TypeError, ValueError):
                raise GraphError("BAD_GRAPH", f"expected JSON in {name}, got {value!r}.") from None
        else:
            params[name] = value
    return dict(sorted(params.items()))


def of_row(row: Mapping[str, Any]) -> Drawn:
    """What `READ` found."""
    whole = row["graph"]
    modules = [
        {
            "key": each.get("key"),
            "kind": each.get("kind"),
            "params": _params(each, _OF_MODULE),
            "term": each.get("term") or "",
            "cost": each.get("cost") or 0.0,
        }
        for each in row["modules"]
    ]
    couplings = [
        {
            "kind": each["properties"].get("kind"),
            "from": each["start"],
            "to": each["end"],
            "params": _params(each["properties"], _OF_COUPLING),
            "delta": each["properties"].get("delta_key") or "",
            "term": each["properties"].get("term") or "",
        }
        for each in row["couplings"]
    ]
    deltas: dict[str, Any] = {}
    for each in row["deltas"]:
        if deltas.setdefault(each["key"], each["value"]) != each["value"]:
            raise GraphError(
                "TWO_DELTAS",
                f"expected one value of benefit {each['key']!r} in {whole['name']!r}, got {deltas[each['key']]} and "
                f"{each['value']}.",
                next_step="Rename or delete one of the Delta nodes.",
            )
    described = {
        "modules": sorted(modules, key=lambda each: str(each["key"])),
        "couplings": couplings,
        "weights": _weights(whole),
        "deltas": dict(sorted(deltas.items())),
        "gamma": whole.get("gamma") or 0.0,
        "tau": whole.get("tau") or 0.0,
        "budget": whole.get("budget"),
        "allow_missing_delta": bool(whole.get("allow_missing_delta")),
    }
    evidence: dict[str, tuple[float, float]] = {}
    for each in row["evidence"]:
        supporting, refuting = evidence.get(each["key"], (0.0, 0.0))
        evidence[each["key"]] = (supporting + each["supporting"], refuting + each["refuting"])
    return Drawn(
        name=whole["name"],
        uid=whole.get("uid"),
        version=whole.get("version") or 0,
        description=as_read(described),
        eta={each["key"]: float(each["eta"]) for each in row["modules"] if each.get("eta") is not None},
        evidence=evidence,
    )


def _weights(whole: Mapping[str, Any]) -> dict[str, Any]:
    try:
        weights = json.loads(whole.get("weights_json") or "{}")
    except (TypeError, ValueError):
        weights = None
    if not isinstance(weights, dict):
        raise GraphError(
            "BAD_GRAPH", f"expected an object in weights_json of {whole['name']!r}, got {whole['weights_json']!r}."
        )
    return dict(sorted(weights.items()))


def as_read(description: Mapping[str, Any]) -> dict[str, Any]:
    """The same with couplings in one order and lists instead of tuples, to be compared."""
    plain: dict[str, Any] = json.loads(json.dumps(description))
    plain["couplings"].sort(key=lambda each: json.dumps([each["from"], each["to"], each], sort_keys=True))
    return plain


_ROW: LiteralString = """
RETURN g {.*} AS graph,
  COLLECT { MATCH (g)-[:HAS_MODULE]->(p:OrderParameter) RETURN p {.*} ORDER BY p.key } AS modules,
  COLLECT { MATCH (g)-[:HAS_MODULE]->(p:OrderParameter)-[c:COUPLED_TO]->(q:OrderParameter)
            RETURN {start: p.key, end: q.key, properties: properties(c)} } AS couplings,
  COLLECT { MATCH (g)-[:HAS_DELTA]->(d:Delta) RETURN {key: d.key, value: d.value}
            UNION MATCH (g)-[:HAS_MODULE]->(:OrderParameter)<-[:FEEDS]-(d:Delta)
            RETURN {key: d.key, value: d.value} } AS deltas,
  COLLECT { MATCH (g)-[:HAS_MODULE]->(p:OrderParameter)-[:MEASURES]->()-[e:SUPPORTED_BY|REFUTED_BY]->()
            WITH p, e, coalesce(e.weight, 1.0) AS weight
            RETURN {key: p.key, supporting: CASE type(e) WHEN 'SUPPORTED_BY' THEN weight ELSE 0.0 END,
              refuting: CASE type(e) WHEN 'REFUTED_BY' THEN weight ELSE 0.0 END} ORDER BY p.key } AS evidence
LIMIT 1
"""

READ: LiteralString = "MATCH (g:CouplingGraph {name: $name})" + _ROW

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

ADOPT: LiteralString = """
MATCH (g:CouplingGraph {name: $name})
SET g.uid = $uid
WITH g
UNWIND $modules AS module
MATCH (g)-[:HAS_MODULE]->(p:OrderParameter {key: module.key})
SET p.uid = module.uid
RETURN DISTINCT g.uid AS uid
"""

CLEAR: LiteralString = """
MATCH (g:CouplingGraph {name: $name})
OPTIONAL MATCH (g)-[:HAS_MODULE]->(p:OrderParameter)
OPTIONAL MATCH (p)-[c:COUPLED_TO]->(:OrderParameter)
DELETE c
WITH DISTINCT g, p
FOREACH (gone IN CASE WHEN p.key IN $keys THEN [] ELSE [p] END | DETACH DELETE gone)
WITH DISTINCT g
OPTIONAL MATCH (g)-[:HAS_DELTA]->(d:Delta)
DETACH DELETE d
WITH DISTINCT g
OPTIONAL MATCH (g)-[:HAS_MODULE]->(:OrderParameter)<-[f:FEEDS]-(d:Delta) WHERE NOT d.key IN $deltas
DELETE f
"""

WRITE_MODULES: LiteralString = """
MATCH (g:CouplingGraph {name: $name})
SET g += $whole, g.version = coalesce(g.version, 0) + 1
WITH g
UNWIND $modules AS module
MERGE (g)-[:HAS_MODULE]->(p:OrderParameter {key: module.key})
WITH p, module, p {.eta, .eta_source, .title, .note, .version} AS kept
SET p = module.properties
SET p += kept, p.key = module.key, p.uid = module.uid
"""

WRITE_COUPLINGS: LiteralString = """
MATCH (g:CouplingGraph {name: $name})
UNWIND $couplings AS coupling
MATCH (g)-[:HAS_MODULE]->(p:OrderParameter {key: coupling.start})
MATCH (g)-[:HAS_MODULE]->(q:OrderParameter {key: coupling.end})
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
UNWIND delta.gates AS key
MATCH (g)-[:HAS_MODULE]->(p:OrderParameter {key: key})
MERGE (d)-[:FEEDS]->(p)
"""
