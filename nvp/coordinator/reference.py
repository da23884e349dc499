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
from nvp.coordinator.polynomials import to_monomials


def reference_energy(graph: CouplingGraph, eta: Any) -> tuple[float, np.ndarray]:
    """F(η) and ∇F(η)."""
    total = graph.gamma * len(graph.modules)
    slope = np.zeros(len(graph.modules))
    for number, module in enumerate(graph.modules):
        weight = graph.weights.get(module.term_id, 1.0)
        value, derivative = local(module, float(eta[number]))
        total += weight * value
        slope[number] += weight * derivative
    for coupling in graph.couplings:
        weight = graph.weights.get(coupling.term_id, 1.0)
        delta = graph.deltas.get(coupling.delta, 0.0)
        value, at_i, at_j = between(coupling, float(eta[coupling.i]), float(eta[coupling.j]), delta)
        total += weight * value
        slope[coupling.i] += weight * at_i
        slope[coupling.j] += weight * at_j
    return total, slope


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
