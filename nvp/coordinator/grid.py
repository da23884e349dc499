"""Grids over what a coupling graph is drawn with: the same graph at each point, a few numbers of it others.

An axis names one number by a path, and the values it takes:

    weights.TERM         what a term is weighed with         gamma              γ
    deltas.KEY           a benefit                           start.KEY          η to start from
    modules.KEY.PARAM    a parameter of a module             couplings.FROM>TO.PARAM   of each coupling between two

Keys may have dots; parameters have none. No JAX, so that the API can check a grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nvp.coordinator.coupling_graph import LARGEST, is_number, shown
from nvp.coordinator.description import normal
from nvp.errors import FieldError

_GROUPS = ("weights", "deltas", "modules", "couplings", "start", "gamma")
MOST_AXES = 16
MOST_NAMED = 10
"""Keys that a message has at most."""


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


def require_points(description: Mapping[str, Any], start: Mapping[str, float], axes: Sequence[Axis]) -> None:
    """Refuse a grid of which a point is no graph, without drawing each: what a number may be, bounds of it say.

    Of each axis the least and the largest value are tried. Raises `FieldError`.
    """
    if not 0 < len({axis.path for axis in axes}) == len(axes) <= MOST_AXES:
        raise FieldError(
            "BAD_GRID",
            f"expected 1 to {MOST_AXES} axes, each of another number, got {shown([axis.path for axis in axes])}.",
            next_step="Name each once.",
        )
    for axis in axes:
        if not axis.values or not all(map(is_number, axis.values)):
            raise FieldError(
                "NONFINITE",
                f"expected finite numbers of at most {LARGEST:g} in size along {axis.path!r}, got "
                f"{next((shown(value) for value in axis.values if not is_number(value)), 'none')}.",
                next_step="Give one value at least.",
            )
        for value in {min(axis.values), max(axis.values)}:
            normal(_set(dict(description), dict(start), axis.path, float(value)))


def points(
    description: Mapping[str, Any],
    start: Mapping[str, float],
    axes: Sequence[Axis],
    *,
    first: int = 0,
    most: int | None = None,
) -> list[Point]:
    """Points in order, the last axis fastest; of all, `most` from the `first` on.

    `description` is normal and `start` complete. Raises `FieldError` where one is no graph or an axis names nothing.
    """
    require_points(description, start, axes)
    found = []
    whole = itertools.product(*(axis.values for axis in axes))
    for at in itertools.islice(whole, first, None if most is None else first + most):
        changed = dict(description)
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
        f"expected the path of a number of the graph ({_there(description, start, group)}), got {path!r}.",
        next_step="Write it as weights.TERM, deltas.KEY, start.KEY, modules.KEY.PARAM or couplings.FROM>TO.PARAM.",
    )


def _with(items: Sequence[Mapping[str, Any]], hit: Sequence[bool], parameter: str, value: float) -> list[Any]:
    return [
        {**each, "params": {**each["params"], parameter: value}} if chosen else each
        for each, chosen in zip(items, hit, strict=True)
    ]


def _there(description: Mapping[str, Any], start: Mapping[str, float], group: str) -> str:
    """What a path of this group may begin with; where there is no such group, the groups."""
    keys = {
        "deltas": list(description["deltas"]),
        "start": list(start),
        "modules": [each["key"] for each in description["modules"]],
        "couplings": [f"{each['from']}>{each['to']}" for each in description["couplings"]],
    }
    if group not in keys:
        return ", ".join(_GROUPS)
    named = [f"{group}.{key}" for key in keys[group][:MOST_NAMED]]
    return ", ".join(named + ["…"] * (len(keys[group]) > MOST_NAMED)) or f"no {group}"
