"""Grids over what a coupling graph is drawn with: the same graph at each point, a few numbers of it others.

An axis names one number by a path, and the values it takes:

    weights.TERM         what a term is weighed with         gamma              γ
    deltas.KEY           a benefit                           start.KEY          η to start from
    modules.KEY.PARAM    a parameter of a module             couplings.FROM>TO.PARAM   of each coupling between two

Keys may have dots; parameters have none. No JAX, so that the API can check a grid.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nvp.coordinator.description import normal
from nvp.errors import FieldError

_GROUPS = ("weights", "deltas", "modules", "couplings", "start", "gamma")


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One number of the graph, and the values it takes."""

    path: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The graph at one point of a grid."""

    # values in the order of the axes
    at: tuple[float, ...]
    description: dict[str, Any]
    # η by key
    start: dict[str, float]


def points(description: Mapping[str, Any], start: Mapping[str, float], axes: Sequence[Axis]) -> list[Point]:
    """Every point in order, the last axis fastest; raises `FieldError` where one is no graph or an axis names nothing.

    `description` is normal and `start` complete.
    """
    if not axes or len({axis.path for axis in axes}) < len(axes):
        raise FieldError(
            "BAD_GRID",
            f"expected axes, each of another number, got {[axis.path for axis in axes]}.",
            next_step="Name each once.",
        )
    for axis in axes:
        if not axis.values or not all(_real(value) for value in axis.values):
            raise FieldError(
                "NONFINITE",
                f"expected finite numbers along {axis.path!r}, got {list(axis.values)}.",
                next_step="Give one value at least.",
            )
    found = []
    for at in itertools.product(*(axis.values for axis in axes)):
        changed = {**description, "weights": dict(description["weights"]), "deltas": dict(description["deltas"])}
        began = dict(start)
        for axis, value in zip(axes, at, strict=True):
            changed = _set(changed, began, axis.path, float(value))
        found.append(Point(at=tuple(map(float, at)), description=normal(changed), start=began))
    return found


def _set(description: dict[str, Any], start: dict[str, float], path: str, value: float) -> dict[str, Any]:
    """The description with one number set; a start is set in place."""
    group, _, name = path.partition(".")
    match group:
        case "gamma" if not name:
            return {**description, "gamma": value}
        case "weights" if name:
            return {**description, "weights": {**description["weights"], name: value}}
        case "deltas" if name in description["deltas"]:
            return {**description, "deltas": {**description["deltas"], name: value}}
        case "start" if name in start:
            if not 0 <= value <= 1:
                raise FieldError("BAD_STATE", f"expected 0 … 1 along {path!r}, got {value}.", next_step="Clip it.")
            start[name] = value
            return description
        case "modules":
            key, _, parameter = name.rpartition(".")
            hit = [each["key"] == key for each in description["modules"]]
            if any(hit) and parameter:
                return {**description, "modules": _with(description["modules"], hit, parameter, value)}
        case "couplings":
            ends, _, parameter = name.rpartition(".")
            hit = [f"{each['from']}>{each['to']}" == ends for each in description["couplings"]]
            if any(hit) and parameter:
                return {**description, "couplings": _with(description["couplings"], hit, parameter, value)}
    raise FieldError(
        "BAD_GRID",
        f"expected the path of a number of the graph ({', '.join(_GROUPS)}), got {path!r}.",
        next_step="Write it as weights.TERM, deltas.KEY, start.KEY, modules.KEY.PARAM or couplings.FROM>TO.PARAM.",
    )


def _with(items: Sequence[Mapping[str, Any]], hit: Sequence[bool], parameter: str, value: float) -> list[Any]:
    return [
        {**each, "params": {**each["params"], parameter: value}} if chosen else each
        for each, chosen in zip(items, hit, strict=True)
    ]


def _real(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
