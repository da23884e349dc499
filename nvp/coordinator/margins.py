"""How much curvature there is room for, and which terms and couplings take it. No JAX, so that the API can tell.

A step α contracts where αL < 2: a target of 2/α for L is what a graph has room for. Everything is bounded over the
whole box, every hinge counted as active and every local energy by its largest curvature, whatever the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.reference import bend_of, bends_between
from nvp.errors import FieldError


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """Gershgorin's rows of |∇²F| against a target; lists in the order of the modules and of the couplings."""

    target: float
    # L, the largest row
    lipschitz: float
    row_sums: tuple[float, ...]
    # what each row would be if all were scaled so that L meets the target
    row_targets: tuple[float, ...]
    # max(0, target − row), and the least of them
    row_margins: tuple[float, ...]
    global_margin: float
    # the most that a term, or a coupling, adds to any row
    family_costs: Mapping[str, float]
    edge_costs: tuple[float, ...]


def margins(graph: CouplingGraph, *, target: float) -> Margins:
    """The room that a target leaves; a row without bound has none."""
    if not 0 < target < np.inf:
        raise FieldError(
            "BAD_CONFIG", f"expected a target > 0 and finite, got {target}.", next_step="Use 2 / the step."
        )
    families = {term: np.zeros(len(graph.modules)) for term in graph.terms}
    edges = []
    for number, module in enumerate(graph.modules):
        families[module.term_id][number] += graph.weights.get(module.term_id, 1.0) * bend_of(module)
    for coupling in graph.couplings:
        weight = graph.weights.get(coupling.term_id, 1.0)
        at_i, at_j = bends_between(coupling, graph.deltas.get(coupling.delta, 0.0)) if weight else (0.0, 0.0)
        families[coupling.term_id][coupling.i] += weight * at_i
        families[coupling.term_id][coupling.j] += weight * at_j
        edges.append(weight * max(at_i, at_j))
    rows = np.sum(list(families.values()), axis=0)
    largest = float(rows.max())
    share = min(1.0, target / largest) if largest > 0 else 1.0
    room = np.maximum(0.0, target - rows)
    return Margins(
        target=target,
        lipschitz=largest,
        row_sums=tuple(rows.tolist()),
        row_targets=tuple(float(row * share) if np.isfinite(row) else target for row in rows),
        row_margins=tuple(room.tolist()),
        global_margin=float(room.min()),
        family_costs={term: float(each.max()) for term, each in families.items()},
        edge_costs=tuple(float(each) for each in edges),
    )
