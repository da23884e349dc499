"""Which terms of a graph are prices of gates. No JAX, so that the API can refuse a graph that has none."""

from __future__ import annotations

from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.errors import FieldError

PRICE = "price:"
"""What the names of terms begin with that are prices."""


def prices_of(graph: CouplingGraph) -> tuple[bool, ...]:
    """For each term whether it is a price; raises `FieldError` where none is."""
    prices = tuple(term.startswith(PRICE) for term in graph.terms)
    if not any(prices):
        raise FieldError(
            "BAD_CONFIG",
            f"expected a term `{PRICE}…` for the adapter gate_cost, got {', '.join(graph.terms)}.",
            next_step="Draw the price as a gate_benefit with a benefit below 0, under such a term.",
        )
    return prices
