"""F and ∇F term by term, in plain Python from the description of the graph, with derivatives written out by hand.

Shares nothing with the compiled energy but the definition: it is what that is checked against, and what its speed is
compared with.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial import polynomial

from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.kinds import COUPLINGS, MODULES
from nvp.coordinator.polynomials import curvature_bound, on_unit_interval, to_monomials


def reference_energy(graph: CouplingGraph, eta: Any) -> tuple[float, np.ndarray]:
    """F(η) and ∇F(η)."""
    terms = reference_terms(graph, eta).values()
    return graph.gamma * len(graph.modules) + sum(value for value, _ in terms), np.sum([at for _, at in terms], axis=0)


def reference_terms(graph: CouplingGraph, eta: Any) -> dict[str, tuple[float, np.ndarray]]:
    """Weighed energy and gradient of each term; γ·N belongs to none."""
    found = {name: (0.0, np.zeros(len(graph.modules))) for name in graph.terms}

    def add(term: str, value: float, slopes: dict[int, float]) -> None:
        weight = graph.weights.get(term, 1.0)
        total, slope = found[term]
        for number, derivative in slopes.items():
            slope[number] += weight * derivative
        found[term] = total + weight * value, slope

    for number, module in enumerate(graph.modules):
        value, derivative = local(module, float(eta[number]))
        add(module.term_id, value, {number: derivative})
    for coupling in graph.couplings:
        delta = graph.deltas.get(coupling.delta, 0.0)
        value, at_i, at_j = between(coupling, float(eta[coupling.i]), float(eta[coupling.j]), delta)
        add(coupling.term_id, value, {coupling.i: at_i, coupling.j: at_j})
    return found


def reference_shares(graph: CouplingGraph, eta: Any) -> np.ndarray:
    """What each module bears of F − γ·N: its local energy, and half of that of each coupling it is an end of."""
    shares = np.zeros(len(graph.modules))
    for number, module in enumerate(graph.modules):
        shares[number] += graph.weights.get(module.term_id, 1.0) * local(module, float(eta[number]))[0]
    for coupling in graph.couplings:
        delta = graph.deltas.get(coupling.delta, 0.0)
        value = between(coupling, float(eta[coupling.i]), float(eta[coupling.j]), delta)[0]
        shares[[coupling.i, coupling.j]] += graph.weights.get(coupling.term_id, 1.0) * value / 2
    return shares


def reference_curvature(graph: CouplingGraph) -> float:
    """L ≥ λ_max(∇²F) all over the box, by Gershgorin's rows; infinite where a slope jumps or is vertical."""
    return float(reference_rows(graph).max())


def reference_rows(graph: CouplingGraph) -> np.ndarray:
    """Gershgorin's row of each module: the largest sum of |∇²F| in it anywhere in the box."""
    rows = np.zeros(len(graph.modules))
    for number, module in enumerate(graph.modules):
        rows[number] += graph.weights.get(module.term_id, 1.0) * bend_of(module)
    for coupling in graph.couplings:
        weight = graph.weights.get(coupling.term_id, 1.0)
        if weight:
            at_i, at_j = bends_between(coupling, graph.deltas.get(coupling.delta, 0.0))
            rows[coupling.i] += weight * at_i
            rows[coupling.j] += weight * at_j
    return rows


def local(module: Module, eta: float) -> tuple[float, float]:
    """Energy and derivative of a module."""
    given = {**MODULES[module.kind], **module.params}
    if module.kind == "polynomial":
        stretch = 2.0 if given["normalized"] else 1.0
        xi = 2 * eta - 1 if given["normalized"] else eta
        monomials = to_monomials(given["coefficients"], given["basis"])
        derivative = polynomial.polyval(xi, polynomial.polyder(monomials))
        return float(polynomial.polyval(xi, monomials)), float(stretch * derivative)
    if module.kind in ("landau", "gating"):
        a, b, h = given["a"], given["b"], given["h" if module.kind == "landau" else "net"]
        return a * eta**2 + b * eta**4 - h * eta, 2 * a * eta + 4 * b * eta**3 - h
    if module.kind in ("compression", "hypothesis"):
        a, b, miss = given["a"], given.get("b", 0.0), eta - given["target"]
        return a * miss**2 + b * miss**4, 2 * a * miss + 4 * b * miss**3
    miss = 1 - eta
    return given["alpha"] * miss**2 + given["beta"] * miss**4, -2 * given["alpha"] * miss - 4 * given["beta"] * miss**3


def between(coupling: Coupling, x: float, y: float, delta: float) -> tuple[float, float, float]:
    """Energy of a coupling and its derivatives with respect to η_i = x and η_j = y."""
    given = {**COUPLINGS[coupling.kind], **coupling.params}
    w = given["weight"]
    match coupling.kind:
        case "quadratic":
            return w * (x - y) ** 2, 2 * w * (x - y), -2 * w * (x - y)
        case "directed_hinge":
            g = max(0.0, y - x)
            return w * g**2, -2 * w * g, 2 * w * g
        case "asymmetric_hinge":
            g = max(0.0, given["beta"] * y - given["alpha"] * x)
            return w * g**2, -2 * w * g * given["alpha"], 2 * w * g * given["beta"]
        case "sum_hinge":
            g = max(0.0, x + y - given["margin"])
            return w * g**2, 2 * w * g, 2 * w * g
        case "gate_benefit":
            return -w * x * delta, -w * delta, 0.0
        case "damped_gate_benefit":
            side = given["positive"] if delta > 0 else given["negative"]
            pull, p = w * given["damping"] * side * delta, given["power"]
            if p == 1:
                return -pull * x, -pull, 0.0
            return (-pull * x**p, -pull * p * x ** (p - 1), 0.0) if x > 0 else (0.0, 0.0, 0.0)
        case _:
            miss = given["target"] - given["scale"] * y - given["offset"]
            excess = miss**2 - given["margin"]
            return (w * excess, 0.0, -2 * w * given["scale"] * miss) if excess > 0 else (0.0, 0.0, 0.0)


def bend_of(module: Module) -> float:
    """max |second derivative| of a module's energy on [0, 1]."""
    given = {**MODULES[module.kind], **module.params}
    if module.kind == "polynomial":
        monomials = to_monomials(given["coefficients"], given["basis"])
        return curvature_bound(on_unit_interval(monomials, normalized=given["normalized"]))
    if module.kind in ("landau", "gating"):
        a, b, farthest = given["a"], given["b"], 1.0
    elif module.kind in ("compression", "hypothesis"):
        a, b, farthest = given["a"], given.get("b", 0.0), max(given["target"], 1 - given["target"])
    else:
        a, b, farthest = given["alpha"], given["beta"], 1.0
    return float(max(abs(2 * a), abs(2 * a + 12 * b * farthest**2)))


def bends_between(coupling: Coupling, delta: float) -> tuple[float, float]:
    """What a coupling, its hinge active, adds to the rows of η_i and η_j."""
    given = {**COUPLINGS[coupling.kind], **coupling.params}
    w = given["weight"]
    if coupling.kind in ("gate_benefit", "damped_gate_benefit"):
        p = given.get("power", 1.0)
        side = given.get("positive" if delta > 0 else "negative", 1.0)
        pull = abs(w * given.get("damping", 1.0) * side * delta)
        if p == 1 or pull == 0:
            return 0.0, 0.0
        return (np.inf if p < 2 else pull * p * (p - 1)), 0.0
    if coupling.kind == "redemption":
        first = given["target"] - given["offset"]
        ends = sorted((abs(first), abs(first - given["scale"])))
        smallest = 0.0 if first * (first - given["scale"]) <= 0 else ends[0]
        jumps = given["margin"] > 0 and smallest < np.sqrt(given["margin"]) < ends[1]
        return 0.0, (np.inf if jumps and w > 0 else 2 * w * given["scale"] ** 2)
    p, q = {
        "quadratic": (1.0, 1.0),
        "directed_hinge": (1.0, 1.0),
        "sum_hinge": (1.0, 1.0),
        "asymmetric_hinge": (given.get("alpha", 1.0), given.get("beta", 1.0)),
    }[coupling.kind]
    return 2 * w * (p * p + p * q), 2 * w * (q * q + p * q)
