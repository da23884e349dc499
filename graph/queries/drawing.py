"""What is drawn of a coupling graph, as one description: read from the graph, checked for what Neo4j lets anyone draw.

Names on a node or link that are not known here are parameters of its kind. Only types are checked: whether a kind has
such parameters is for `nvp.coordinator.description`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from graph.errors import GraphError
from graph.identity import digest

# names on a node or link that are no parameters of its kind
_OF_MODULE = {"uid", "key", "kind", "eta", "eta_source", "term", "title", "note", "version", "cost"}
_OF_GRAPH = {
    *("name", "uid", "title", "note", "version", "created_at", "touched_at"),
    *("weights_json", "gamma", "tau", "budget", "allow_missing_delta"),
}
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


def _params(properties: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    params = {}
    for name, value in properties.items():
        if name in known:
            continue
        if name.endswith("_json"):
            try:
                params[name.removesuffix("_json")] = json.loads(value)
            except (TypeError, ValueError):
                raise _bad(f"JSON in {name}", value) from None
        else:
            params[name] = _plain(name, value)
    return dict(sorted(params.items()))


def _plain(name: str, value: Any) -> Any:
    """A property that JSON has too: a point or a time is no parameter."""
    if isinstance(value, list):
        return [_plain(name, each) for each in value]
    if not isinstance(value, bool | int | float | str):
        raise _bad(f"a number, a text or a truth value as {name}", value)
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _bad(f"{name} as text", value)
    return value


def _label(name: str, value: Any) -> str:
    """A text that may be left out."""
    return "" if value in (None, "") else _text(name, value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad(f"{name} as a number", value)
    return value


def _bad(expected: str, got: Any) -> GraphError:
    shown = "nothing" if got is None else repr(got) if isinstance(got, str) else f"{type(got).__name__} {got}"
    return GraphError("BAD_GRAPH", f"expected {expected}, got {shown}.", next_step="Correct the drawing in Neo4j.")


def of_row(row: Mapping[str, Any]) -> Drawn:
    """What `READ` found; raises GraphError where something is drawn that no coupling graph can have."""
    whole = row["graph"]
    name = whole["name"]
    _require_known(name, whole)
    modules = [_module(each, f"of an order parameter of {name!r}") for each in row["modules"]]
    couplings = [_coupling(each, name) for each in row["couplings"]]
    evidence: dict[str, tuple[float, float]] = {}
    for each in row["evidence"]:
        supporting, refuting = evidence.get(each["key"], (0.0, 0.0))
        said = f"weight of the evidence for {each['key']!r}"
        evidence[each["key"]] = (
            supporting + _number(said, each["supporting"]),
            refuting + _number(said, each["refuting"]),
        )
    described = {
        "modules": sorted(modules, key=lambda each: str(each["key"])),
        "couplings": couplings,
        "weights": _weights(whole),
        "deltas": _deltas(row["deltas"], name),
        "gamma": _number(f"gamma of {name!r}", whole.get("gamma") or 0.0),
        "tau": _number(f"tau of {name!r}", whole.get("tau") or 0.0),
        "budget": None if (budget := whole.get("budget")) is None else _number(f"budget of {name!r}", budget),
        "allow_missing_delta": _truth(f"allow_missing_delta of {name!r}", whole.get("allow_missing_delta")),
    }
    return Drawn(
        name=name,
        uid=whole.get("uid"),
        version=int(_number(f"version of {name!r}", whole.get("version") or 0)),
        description=as_read(described),
        eta={
            each["key"]: float(_number(f"eta of {each['key']!r}", each["eta"]))
            for each in row["modules"]
            if each.get("eta") is not None
        },
        evidence=evidence,
    )


def _require_known(name: str, whole: Mapping[str, Any]) -> None:
    """A property that nothing reads is a typing mistake, and would be passed over: γ drawn as `gama` counts as 0."""
    if unknown := sorted(set(whole) - _OF_GRAPH):
        raise GraphError(
            "BAD_GRAPH",
            f"expected properties of {name!r} out of {', '.join(sorted(_OF_GRAPH))}, got {', '.join(unknown)}.",
            next_step="Correct its name in Neo4j, or remove it; a remark goes into `note`.",
        )


def _truth(name: str, value: Any) -> bool:
    if value is not None and not isinstance(value, bool):
        raise _bad(f"true or false as {name}", value)
    return bool(value)


def _module(drawn: Mapping[str, Any], where: str) -> dict[str, Any]:
    key = _text(f"key {where}", drawn.get("key"))
    return {
        "key": key,
        "kind": _text(f"kind of {key!r}", drawn.get("kind")),
        "params": _params(drawn, _OF_MODULE),
        "term": _label(f"term of {key!r}", drawn.get("term")),
        "cost": _number(f"cost of {key!r}", drawn.get("cost") or 0.0),
    }


def _coupling(drawn: Mapping[str, Any], graph: str) -> dict[str, Any]:
    properties = drawn["properties"]
    where = f"of the coupling from {drawn['start']!r} to {drawn['end']!r}"
    if not drawn["inside"]:
        raise GraphError(
            "BAD_INDEX",
            f"expected couplings between order parameters of {graph!r}, got one from {drawn['start']!r} to "
            f"{drawn['end']!r}, which is not one of its.",
            next_step="Connect it by HAS_MODULE, or delete the coupling.",
        )
    return {
        "kind": _text(f"kind {where}", properties.get("kind")),
        "from": drawn["start"],
        "to": drawn["end"],
        "params": _params(properties, _OF_COUPLING),
        "delta": _label(f"delta_key {where}", properties.get("delta_key")),
        "term": _label(f"term {where}", properties.get("term")),
    }


def _deltas(drawn: Sequence[Mapping[str, Any]], graph: str) -> dict[str, Any]:
    deltas: dict[str, Any] = {}
    for each in drawn:
        key = _text(f"key of a benefit of {graph!r}", each["key"])
        value = _number(f"value of benefit {key!r}", each["value"])
        if deltas.setdefault(key, value) != value:
            raise GraphError(
                "TWO_DELTAS",
                f"expected one value of benefit {key!r} in {graph!r}, got {deltas[key]} and {value}.",
                next_step="Rename or delete one of the Delta nodes.",
            )
    return dict(sorted(deltas.items()))


def _weights(whole: Mapping[str, Any]) -> dict[str, Any]:
    try:
        weights = json.loads(whole.get("weights_json") or "{}")
    except (TypeError, ValueError):
        weights = None
    if not isinstance(weights, dict):
        raise _bad(f"an object in weights_json of {whole['name']!r}", whole["weights_json"])
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
            RETURN {start: p.key, end: q.key, inside: EXISTS { (g)-[:HAS_MODULE]->(q) }, properties: properties(c)}
          } AS couplings,
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
