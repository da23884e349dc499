"""How alike the basis functions of a polynomial energy are along a trail.

Coefficients can be told apart only where the features φ_k(ξ_t) vary by themselves: with |corr(φ_j, φ_k)| near 1 over
the states that were visited, a fit cannot say which of the two has the energy, whatever the basis is orthogonal to.
No JAX.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.polynomial import legendre, polynomial

from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.kinds import MODULES

WINDOW = 64
"""States that a correlation is taken over, the last ones."""
ALIKE = 0.9
"""From here on it is worth a warning."""
_LEAST = 3
_STILL = 1e-12


def features(xi: Float[np.ndarray, "s"], count: int, basis: Any) -> Float[np.ndarray, "s k"]:
    """φ_1 … φ_count−1 at each ξ; the constant one varies with nothing."""
    if isinstance(basis, str):
        table = legendre.legvander(xi, count - 1) if basis == "legendre" else polynomial.polyvander(xi, count - 1)
    else:
        rows = np.asarray(basis, np.float64)[:count]
        table = polynomial.polyvander(xi, rows.shape[1] - 1) @ rows.T
    found: Float[np.ndarray, "s k"] = table[:, 1:]
    return found


def correlation(table: Float[np.ndarray, "s k"]) -> float:
    """The largest |corr| of two features that vary; NaN where there are no two."""
    away = table - table.mean(axis=0)
    norms = np.sqrt((away**2).sum(axis=0))
    varied = norms > _STILL
    if len(table) < _LEAST or varied.sum() < 2:
        return float("nan")
    unit = away[:, varied] / norms[varied]
    alike = np.abs(unit.T @ unit)
    return float(min(1.0, alike[~np.eye(len(alike), dtype=bool)].max()))


def feature_correlation(
    graph: CouplingGraph, states: Float[np.ndarray, "s n"], *, window: int = WINDOW
) -> Float[np.ndarray, "s"]:
    """At each state the largest correlation within any polynomial module over the window; NaN where there is none."""
    tables = []
    for number, module in enumerate(graph.modules):
        if module.kind != "polynomial":
            continue
        given = {**MODULES["polynomial"], **module.params}
        eta = states[:, number]
        xi = 2 * eta - 1 if given["normalized"] else eta
        tables.append(features(xi, max(1, len(given["coefficients"])), given["basis"]))
    found = [
        [correlation(table[max(0, last + 1 - window) : last + 1]) for table in tables] for last in range(len(states))
    ]
    return np.array([np.nanmax(each) if np.isfinite(each).any() else np.nan for each in found], np.float64)
