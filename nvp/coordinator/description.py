"""A coupling graph as plain values, its modules named by keys: what is stored, sent and hashed.

    {"modules": [{"key": "a", "kind": "landau", "params": {"a": -1.0}}, …],
     "couplings": [{"kind": "quadratic", "from": "a", "to": "b", "params": {"weight": 0.5}}, …],
     "weights": {}, "deltas": {}, "gamma": 0.0, "tau": 0.0, "budget": null, "allow_missing_delta": false}

Only what differs from a kind's defaults need be there. `normal` brings a description into its one form: modules by key,
couplings by their ends, words and counts of evidence (`beliefs`) as what they stand for, so that equal graphs have
equal digests however they were drawn. `cost` and `budget` are for `gating`: no energy has them. No JAX.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from nvp.coordinator.beliefs import informed, spelled
from nvp.coordinator.coupling_graph import LARGEST, Coupling, CouplingGraph, Module, is_number, shown
from nvp.errors import FieldError

_WHOLE = ("modules", "couplings", "weights", "deltas", "gamma", "tau", "budget", "allow_missing_delta")
_MODULE = ("key", "kind", "params", "term", "cost")
_COUPLING = ("kind", "from", "to", "params", "delta", "term")


def normal(description: Mapping[str, Any]) -> dict[str, Any]:
    """The description in its one form, checked; raises `FieldError` where it is no coupling graph."""
    _named(description, _WHOLE, "a coupling graph")
    modules = [_module(each, number) for number, each in enumerate(_list(description, "modules"))]
    couplings = [_coupling(each, number) for number, each in enumerate(_list(description, "couplings"))]
    whole = {
        "modules": sorted(modules, key=lambda each: each["key"]),
        "couplings": sorted(couplings, key=lambda each: json.dumps([each["from"], each["to"], each], sort_keys=True)),
        "weights": dict(sorted(_mapping(description, "weights").items())),
        "deltas": dict(sorted(_mapping(description, "deltas").items())),
        "gamma": description.get("gamma", 0.0),
        "tau": description.get("tau", 0.0),
        "budget": _amount("budget", description.get("budget")),
        "allow_missing_delta": _truth(description, "allow_missing_delta"),
    }
    graph_of(whole)
    return whole


def keys_of(description: Mapping[str, Any]) -> tuple[str, ...]:
    """The modules' keys, in the order of their order parameters."""
    return tuple(each["key"] for each in description["modules"])


def graph_of(description: Mapping[str, Any]) -> CouplingGraph:
    """The graph that a normal description describes."""
    keys = keys_of(description)
    if twice := sorted(key for key, count in Counter(keys).items() if count > 1):
        raise FieldError(
            "BAD_KEY", f"expected one module for each key, got several {', '.join(twice)}.", next_step="Rename them."
        )
    places = {key: number for number, key in enumerate(keys)}
    return CouplingGraph(
        modules=[Module(each["kind"], _typed(each["params"]), each["term"]) for each in description["modules"]],
        couplings=[
            Coupling(
                each["kind"],
                _place(places, each, "from"),
                _place(places, each, "to"),
                _typed(each["params"]),
                each["delta"],
                each["term"],
            )
            for each in description["couplings"]
        ],
        weights={name: _real(name, value) for name, value in description["weights"].items()},
        deltas={name: _real(name, value) for name, value in description["deltas"].items()},
        allow_missing_delta=description["allow_missing_delta"],
        gamma=_real("gamma", description["gamma"]),
        tau=_real("tau", description["tau"]),
        keys=keys,
    )


def _module(values: Any, number: int) -> dict[str, Any]:
    name = f"module {number}"
    _named(values, _MODULE, name)
    module: dict[str, Any] = {
        "key": _text(values, "key", name),
        "kind": _text(values, "kind", name),
        "params": _mapping(values, "params"),
        "term": _label(values, "term", name),
        "cost": _amount(f"cost of {name}", values.get("cost")) or 0.0,
    }
    module = informed(module)
    return {**module, "params": dict(sorted(module["params"].items()))}


def _coupling(values: Any, number: int) -> dict[str, Any]:
    name = f"coupling {number}"
    _named(values, _COUPLING, name)
    coupling: dict[str, Any] = {
        "kind": _text(values, "kind", name),
        "from": _text(values, "from", name),
        "to": _text(values, "to", name),
        "params": _mapping(values, "params"),
        "delta": _label(values, "delta", name),
        "term": _label(values, "term", name),
    }
    coupling = spelled(coupling)
    return {**coupling, "params": dict(sorted(coupling["params"].items()))}


def _place(places: Mapping[str, int], coupling: Mapping[str, Any], end: str) -> int:
    if coupling[end] not in places:
        raise FieldError(
            "BAD_INDEX",
            f"expected `{end}` of a {coupling['kind']} coupling to be the key of a module, got {coupling[end]!r}.",
            next_step="Correct the key, or add the module.",
        )
    return places[coupling[end]]


def _typed(params: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON and Neo4j make of tuples and real numbers, lists and whole ones, as what they were."""
    return {name: _value(value) for name, value in params.items()}


def _value(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_value(each) for each in value)
    return float(value) if type(value) is int and is_number(value) else value


def _real(name: str, value: Any) -> float:
    """A number as a real one: JSON and Neo4j make whole numbers of 1.0."""
    if not is_number(value):
        raise FieldError(
            "NONFINITE",
            f"expected a finite number of at most {LARGEST:g} in size, got {shown(value)} for {name}.",
            next_step="Give a number.",
        )
    return float(value)


def _amount(name: str, value: Any) -> float | None:
    """A number of at least 0, or None where there is none."""
    if value is None:
        return None
    if (real := _real(name, value)) < 0:
        raise FieldError("BAD_PARAMETER", f"expected {name} >= 0 and finite, got {value}.", next_step="Correct it.")
    return real


def _truth(values: Mapping[str, Any], field: str) -> bool:
    value = values.get(field) or False
    if not isinstance(value, bool):
        raise FieldError(
            "BAD_GRAPH", f"expected {field} as true or false, got {shown(value)}.", next_step="Correct it."
        )
    return value


def _named(values: Any, known: tuple[str, ...], name: str) -> None:
    if not isinstance(values, Mapping):
        raise FieldError(
            "BAD_GRAPH", f"expected {name} as an object, got {type(values).__name__}.", next_step="Correct it."
        )
    if unknown := sorted(map(str, set(values) - set(known))):
        raise FieldError(
            "BAD_GRAPH",
            f"expected {', '.join(known)} in {name}, got {', '.join(unknown)}.",
            next_step="Correct the name; parameters of a kind belong into `params`.",
        )


def _text(values: Mapping[str, Any], field: str, name: str) -> str:
    value = values.get(field)
    if not isinstance(value, str) or not value:
        raise FieldError(
            "BAD_GRAPH", f"expected `{field}` of {name} as text, got {shown(value)}.", next_step="Name it."
        )
    return value


def _label(values: Mapping[str, Any], field: str, name: str) -> str:
    """A text that may be left out."""
    return _text(values, field, name) if values.get(field) not in (None, "") else ""


def _list(values: Mapping[str, Any], field: str) -> list[Any]:
    value = values.get(field) or []
    if not isinstance(value, list | tuple):
        raise FieldError(
            "BAD_GRAPH", f"expected {field} as a list, got {type(value).__name__}.", next_step="Correct it."
        )
    return list(value)


def _mapping(values: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = values.get(field) or {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise FieldError(
            "BAD_GRAPH", f"expected {field} as an object, got {type(value).__name__}.", next_step="Correct it."
        )
    return value
