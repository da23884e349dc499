"""From a relaxed state to decisions: which gates open, within a budget and in order.

A relaxed gate is a number, an opened one is a fact. Gates with η > ½ may open; of them, those open whose total of η − ½
is largest among all sets that cost no more than the budget and hold with each gate those before it (a knapsack with
precedence, by branch and bound). A directed hinge from gate to gate is an order: the first opens first.

A snapped state can have more energy than the relaxed one, so F is computed anew and both are reported.
Reference: Samphaiboon and Yamada, "Heuristic and exact algorithms for the precedence-constrained knapsack problem"
(2000). No JAX, so that whoever schedules needs no accelerator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from nvp.coordinator.description import graph_of, keys_of
from nvp.coordinator.measures import gate_opening
from nvp.coordinator.reference import reference_energy

OPEN = 0.5
"""A gate may open beyond this."""
MOST_VISITS = 100_000
"""Branches of the search; beyond them the best set so far is taken."""
# so that 0.1 + 0.2 fits into 0.3
_ROUND_OFF = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A gate of a relaxed graph."""

    key: str
    eta: float
    # gain − cost as its energy has it, and the benefits that feed it, weighed
    net: float
    benefit: float
    # what opening it takes from the budget
    cost: float
    # gates that must be open before it
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Which gates open, what they cost, and what snapping does to the energy."""

    gates: tuple[Gate, ...]
    opened: frozenset[str]
    spent: float
    # None: no limit
    budget: float | None
    # F where it was relaxed, and with every gate at 0 or 1
    energy: float
    snapped_energy: float
    # whether no better set exists; False where the search was cut short
    exact: bool

    def refusal(self, gate: Gate) -> str | None:
        """Why a gate stays shut: closed, order or budget; None for an open one."""
        if gate.key in self.opened:
            return None
        if gate.eta <= OPEN:
            return "closed"
        return "budget" if set(gate.after) <= self.opened else "order"


@runtime_checkable
class Scheduler(Protocol):
    """The port by which an experiment's stages are opened: whoever plans them asks this, and knows nothing more."""

    def schedule(self, description: Mapping[str, Any], eta: Mapping[str, float]) -> Schedule:
        """Which gates of a relaxed graph open."""
        ...


class WithinBudget:
    """Opens what the relaxed state asks for, as far as the description's budget and order allow."""

    def schedule(self, description: Mapping[str, Any], eta: Mapping[str, float]) -> Schedule:
        """The set of gates with the largest total of η − ½."""
        gates, budget = gates_of(description, eta), budget_of(description)
        opened, exact = best_set({gate.key: gate.eta - OPEN for gate in gates}, gates, budget)
        return _snapped(description, eta, gates, opened, exact=exact)


class ByThreshold:
    """The baseline: opens, in order, each gate whose own net gain is positive, while the budget lasts; no couplings."""

    def schedule(self, description: Mapping[str, Any], eta: Mapping[str, float]) -> Schedule:
        """The gates with net > 0, one after the other."""
        return _one_by_one(description, eta, lambda gate: gate.net > 0)


class ByHazard:
    """Opens, in order and while the budget lasts, each gate with probability 1 − e^(−λ), λ = softplus(k·net).

    A gate that pays little opens now and then all the same, so that what it brings can be found out. The draws, from
    0 to 1 by key, are given: nothing here is random.
    """

    def __init__(self, draws: Mapping[str, float], *, sharpness: float = 10.0) -> None:
        self.draws, self.sharpness = draws, sharpness

    def schedule(self, description: Mapping[str, Any], eta: Mapping[str, float]) -> Schedule:
        """The gates whose draw lies below how far their hazard opens them, one after the other."""

        def wants(gate: Gate) -> bool:
            return self.draws[gate.key] < gate_opening(gate.net, sharpness=self.sharpness)

        return _one_by_one(description, eta, wants)


def gates_of(description: Mapping[str, Any], eta: Mapping[str, float]) -> tuple[Gate, ...]:
    """The gates of a normal description, in their order."""
    modules = [each for each in description["modules"] if each["kind"] == "gating"]
    keys = {each["key"] for each in modules}
    before: dict[str, list[str]] = {key: [] for key in keys}
    benefit = dict.fromkeys(keys, 0.0)
    for coupling in description["couplings"]:
        start, end, params = coupling["from"], coupling["to"], coupling["params"]
        if coupling["kind"] == "directed_hinge" and {start, end} <= keys:
            before[end].append(start)
        elif "gate" in coupling["kind"] and start in keys:
            side = "positive" if (delta := description["deltas"].get(coupling["delta"], 0.0)) > 0 else "negative"
            weight = description["weights"].get(coupling["term"] or f"coup:{coupling['kind']}", 1.0)
            pull = params.get("weight", 1.0) * params.get("damping", 1.0) * params.get(side, 1.0)
            benefit[start] += weight * pull * delta
    return tuple(
        Gate(
            key=each["key"],
            eta=float(eta[each["key"]]),
            net=float(each["params"].get("net", 0.0)),
            benefit=benefit[each["key"]],
            cost=float(each["cost"]),
            after=tuple(dict.fromkeys(before[each["key"]])),
        )
        for each in modules
    )


def budget_of(description: Mapping[str, Any]) -> float | None:
    """What gates that open may cost together; None: no limit. JSON makes whole numbers of 5.0."""
    budget = description["budget"]
    return None if budget is None else float(budget)


def in_order(gates: Sequence[Gate]) -> list[Gate]:
    """Each gate after those before it; gates in a circle, none of which can be first, are left out."""
    by_key = {gate.key: gate for gate in gates}
    waits = {gate.key: len(gate.after) for gate in gates}
    behind: dict[str, list[str]] = {key: [] for key in by_key}
    for gate in gates:
        for key in gate.after:
            behind[key].append(gate.key)
    ready = [key for key, count in waits.items() if not count]
    for key in ready:  # grows while it is walked through
        for other in behind[key]:
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    return [by_key[key] for key in ready]


def best_set(values: Mapping[str, float], gates: Sequence[Gate], budget: float | None) -> tuple[frozenset[str], bool]:
    """The affordable set in order with the largest total value, and whether the search went to its end."""
    wanted = [gate for gate in in_order(gates) if values[gate.key] > 0]
    # what could still be had from each place on
    rest = [0.0]
    for gate in reversed(wanted):
        rest.append(rest[-1] + values[gate.key])
    rest.reverse()
    limit = float("inf") if budget is None else budget + _ROUND_OFF
    best: tuple[float, frozenset[str]] = (0.0, frozenset())
    visits = 0
    stack: list[tuple[int, frozenset[str], float, float]] = [(0, frozenset(), 0.0, 0.0)]
    while stack and visits < MOST_VISITS:
        place, taken, value, spent = stack.pop()
        visits += 1
        if value > best[0]:
            best = value, taken
        if place == len(wanted) or value + rest[place] <= best[0]:
            continue
        gate = wanted[place]
        stack.append((place + 1, taken, value, spent))
        if spent + gate.cost <= limit and set(gate.after) <= taken:  # looked at first: the last in is the first out
            stack.append((place + 1, taken | {gate.key}, value + values[gate.key], spent + gate.cost))
    return best[1], not stack


def _one_by_one(description: Mapping[str, Any], eta: Mapping[str, float], wants: Callable[[Gate], bool]) -> Schedule:
    """Each gate that is wanted, behind those before it, while the budget lasts."""
    gates, budget = gates_of(description, eta), budget_of(description)
    opened: set[str] = set()
    spent = 0.0
    for gate in in_order(gates):
        fits = budget is None or spent + gate.cost <= budget + _ROUND_OFF
        if wants(gate) and fits and set(gate.after) <= opened:
            opened.add(gate.key)
            spent += gate.cost
    return _snapped(description, eta, gates, frozenset(opened), exact=True)


def _snapped(
    description: Mapping[str, Any],
    eta: Mapping[str, float],
    gates: tuple[Gate, ...],
    opened: frozenset[str],
    *,
    exact: bool,
) -> Schedule:
    graph, keys = graph_of(description), keys_of(description)
    shut = {gate.key: float(gate.key in opened) for gate in gates}
    return Schedule(
        gates=gates,
        opened=opened,
        spent=sum((gate.cost for gate in gates if gate.key in opened), 0.0),
        budget=budget_of(description),
        energy=reference_energy(graph, [eta[key] for key in keys])[0],
        snapped_energy=reference_energy(graph, [shut.get(key, eta[key]) for key in keys])[0],
        exact=exact,
    )
