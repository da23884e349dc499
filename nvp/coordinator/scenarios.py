"""Coupling graphs to measure with: the two small ones that ΔF90 is quoted for, and random ones of any size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module

KINDS = ("convex", "rugged")
PER_MODULE = 4
"""Couplings per module of a random graph."""


def baseline() -> CouplingGraph:
    """Two gates, one of which serves the other; its minimum is −0.00250761 at (0.06039, 0.07784)."""
    return CouplingGraph(
        modules=[Module("gating", {"a": 0.2, "b": 0.3}), Module("gating", {"a": 0.25, "b": 0.35})],
        couplings=[
            Coupling("quadratic", 0, 1, {"weight": 0.7}),
            Coupling("gate_benefit", 1, 0, {"weight": 0.8}, delta="domain"),
        ],
        deltas={"domain": 0.08},
    )


def dense(count: int = 16) -> CouplingGraph:
    """A ring of gates, each coupled with the next two; every gate serves the next. Its minimum has all η equal."""
    ring = range(count)
    return CouplingGraph(
        modules=[Module("gating", {"a": 0.15, "b": 0.05})] * count,
        couplings=[
            *(Coupling("quadratic", i, (i + 1) % count, {"weight": 0.6}) for i in ring),
            *(Coupling("quadratic", i, (i + 2) % count, {"weight": 0.3}) for i in ring),
            *(Coupling("gate_benefit", i, (i + 1) % count, {"weight": 0.4}, delta="domain") for i in ring),
        ],
        deltas={"domain": 0.05},
    )


def random_graph(count: int, kind: str, rng: np.random.Generator, *, per_module: int = PER_MODULE) -> CouplingGraph:
    """`count` modules with `per_module` couplings each, to random partners; `convex` has one minimum, `rugged` many."""
    rugged = kind == "rugged"
    modules = [_module(*draw, rugged=rugged) for draw in zip(*_draws(rng, count), strict=True)]
    number = count * per_module
    i = np.repeat(np.arange(count), per_module)
    j = (i + rng.integers(1, count, number)) % count
    ends = zip(i.tolist(), j.tolist(), strict=True)
    couplings = [
        _coupling(*end, *draw, rugged=rugged)
        for end, draw in zip(ends, zip(*_draws(rng, number), strict=True), strict=True)
    ]
    deltas = {f"domain {number}": value for number, value in enumerate(rng.uniform(-0.05, 0.15, 8).tolist())}
    return CouplingGraph(modules=modules, couplings=couplings, deltas=deltas)


def _draws(rng: np.random.Generator, count: int) -> Sequence[list[float]]:
    """Three columns of uniform numbers: which kind, and two parameters."""
    return [rng.random(count).tolist() for _ in range(3)]


def _module(which: float, x: float, y: float, *, rugged: bool) -> Module:
    if rugged and which < 0.5:
        return Module("landau", {"a": -1.5 * x, "b": 0.5 + y, "h": 0.1 * (y - 0.5)})
    if rugged and which < 0.6:
        return Module("polynomial", {"coefficients": (0.0, x - 0.5, 0.3 * y, 0.2 * (y - x), 0.2 * x)})
    names = ("gating", "sequence", "compression", "hypothesis")
    kind = names[int(len(names) * which)]
    a = 0.1 + 0.4 * x
    given = {
        "gating": {"a": a, "b": 0.5 * y, "net": 0.2 * (y - 0.5)},
        "sequence": {"alpha": a, "beta": 0.5 * y},
        "compression": {"a": a, "b": 0.5 * y, "target": 0.2 + 0.6 * y},
        "hypothesis": {"a": a, "target": y},
    }
    return Module(kind, given[kind])


def _coupling(i: int, j: int, which: float, x: float, y: float, *, rugged: bool) -> Coupling:
    weight = 0.1 + 0.9 * x
    delta = f"domain {int(8 * y)}"
    if rugged and which < 0.1:
        return Coupling("damped_gate_benefit", i, j, {"weight": weight, "power": 2.0 + y, "negative": 0.5}, delta=delta)
    if rugged and which < 0.2:
        return Coupling("redemption", i, j, {"weight": weight, "target": 1.0 + 0.2 * y})
    kinds = ("quadratic", "directed_hinge", "asymmetric_hinge", "sum_hinge", "gate_benefit")
    kind = kinds[int(len(kinds) * which)]
    extra: dict[str, dict[str, float]] = {
        "asymmetric_hinge": {"alpha": 0.5 + y, "beta": 1.5 - y},
        "sum_hinge": {"margin": 0.6 + 0.8 * y},
    }
    fed = delta if kind == "gate_benefit" else ""
    return Coupling(kind, i, j, {"weight": weight, **extra.get(kind, {})}, delta=fed)
