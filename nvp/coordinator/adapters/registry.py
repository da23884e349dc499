"""The adapters by name (`config.ADAPTERS`), with their default settings, for a given graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nvp.coordinator.adapters.adapter import Adapter
from nvp.coordinator.adapters.balance import norm_balance
from nvp.coordinator.adapters.closed_form import closed_form, random_buckets
from nvp.coordinator.adapters.gate_cost import gate_cost
from nvp.coordinator.adapters.gradnorm import gradnorm
from nvp.coordinator.adapters.gspo import gspo
from nvp.coordinator.adapters.phase import phase
from nvp.coordinator.adapters.prices import PRICE, prices_of
from nvp.coordinator.adapters.small_gain import small_gain
from nvp.coordinator.coupling_graph import CouplingGraph


def phase_of_graph(graph: CouplingGraph) -> Adapter:
    """The phase adapter for the couplings and the gates of a graph; prices are neither."""
    drawn = {each.term_id for each in graph.couplings}
    gates = {each.term_id for each in graph.modules if each.kind == "gating"} - drawn
    couplings = {term for term in drawn if not term.startswith(PRICE)}
    return phase(tuple(term in couplings for term in graph.terms), tuple(term in gates for term in graph.terms))


ADAPTERS: Mapping[str, Callable[[CouplingGraph], Adapter]] = {
    "norm_balance": lambda graph: norm_balance(),
    "gradnorm": lambda graph: gradnorm(),
    "gspo": lambda graph: gspo(),
    "phase": phase_of_graph,
    "gate_cost": lambda graph: gate_cost(prices_of(graph)),
    "small_gain": lambda graph: small_gain(),
    "closed_form": lambda graph: closed_form(),
    "random_buckets": lambda graph: random_buckets(),
}


def adapter_of(name: str, graph: CouplingGraph) -> Adapter | None:
    """The adapter of that name; None for `none`."""
    return None if name == "none" else ADAPTERS[name](graph)
