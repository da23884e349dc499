"""Why the adapter `small_gain` gave which weights: the score of each term along a trail, and what was spent on them.

    value_t = (w_t‖∇F_t‖)²,  score_t ← EMA(value_t / cost_t),  spent = Σ_t cost_t·max(0, w_t − w_t before)

as `adapters.small_gain` has them, read off the weights and pulls of the kept steps instead of carried along. Where no
step was left out they are its own numbers; of a thinned trail, whatever lay between two kept steps is spent at once and
the average runs over kept steps. The first row is the start, which nothing has been seen of yet. No JAX.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.margins import margins

SMOOTHING = 0.3
"""Share of the newest value in the average."""
FREE = 1e-12
"""The least cost that a value is divided by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """A row for each kept step; terms in the order of `CouplingGraph.terms`."""

    scores: Float[np.ndarray, "s t"]
    # what the weights of the row cost beyond those of the row before
    spent: Float[np.ndarray, "s"]


def allocation(
    graph: CouplingGraph, *, norms: Float[np.ndarray, "s t"], weights: Float[np.ndarray, "s t"]
) -> Allocation:
    """Scores and spending of a trail; `norms` are of the terms as the graph weighs them, `weights` the adapter's."""
    cost = unit_costs(graph)
    drawn = np.array([graph.weights.get(term, 1.0) for term in graph.terms], np.float64)
    pull = np.divide(norms, drawn, out=np.zeros_like(norms), where=drawn > 0)
    gain = (weights * pull) ** 2 / np.maximum(cost, FREE)
    scores = np.zeros_like(gain)
    for row in range(1, len(gain)):
        scores[row] = (1 - SMOOTHING) * scores[row - 1] + SMOOTHING * gain[row]
    raised = np.maximum(0.0, np.diff(weights, axis=0, prepend=weights[:1]))
    return Allocation(scores=scores, spent=(np.where(raised > 0, cost, 0.0) * raised).sum(axis=1))


def unit_costs(graph: CouplingGraph) -> Float[np.ndarray, "t"]:
    """The most that a unit of each term's weight adds to any of Gershgorin's rows."""
    costs = margins(replace(graph, weights=dict.fromkeys(graph.terms, 1.0)), target=1.0).family_costs
    found: Float[np.ndarray, "t"] = np.array([costs[term] for term in graph.terms], np.float64)
    return found
