"""Gates: the budget is never exceeded, the order is kept, and no better set was left."""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.description import graph_of, keys_of, normal
from nvp.coordinator.gating import OPEN, ByHazard, ByThreshold, Gate, WithinBudget, best_set, in_order
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.relax import relax
from nvp.coordinator.stages import NAMES, Stage, consensus, stage_graph
from nvp.errors import FieldError

AMOUNTS = st.integers(0, 20).map(lambda n: n / 10)


@st.composite
def drawings(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, float]]:
    """Gates in a random order (circles among them) with costs and a budget, and any relaxed state of theirs."""
    keys = [f"g{number}" for number in range(draw(st.integers(1, 7)))]
    gates = [
        {"key": key, "kind": "gating", "params": {"net": draw(AMOUNTS) - 1}, "cost": draw(AMOUNTS)} for key in keys
    ]
    ends = st.tuples(st.sampled_from(keys), st.sampled_from(keys)).filter(lambda pair: pair[0] != pair[1])
    hinges = [
        {"kind": "directed_hinge", "from": a, "to": b}
        for a, b in draw(st.lists(ends, max_size=6, unique=True) if len(keys) > 1 else st.just([]))
    ]
    budget = draw(st.none() | AMOUNTS)
    eta = {key: draw(st.floats(0, 1)) for key in keys}
    return {"modules": gates, "couplings": hinges, "budget": budget}, eta


@settings(deadline=None, max_examples=60)
@given(drawings())
def test_the_budget_holds_and_the_order_and_nothing_better_is_left(drawing: tuple[dict[str, Any], Any]) -> None:
    description, eta = normal(drawing[0]), drawing[1]
    # any number from 0 to 1 is a draw
    for scheduler in (WithinBudget(), ByThreshold(), ByHazard(eta)):
        made = scheduler.schedule(description, eta)
        assert made.spent == pytest.approx(sum(gate.cost for gate in made.gates if gate.key in made.opened))
        assert made.budget is None or made.spent <= made.budget + 1e-9
        assert all(set(gate.after) <= made.opened for gate in made.gates if gate.key in made.opened)
        # what was snapped is what is reported
        state = [float(key in made.opened) for key in keys_of(description)]
        assert made.snapped_energy == pytest.approx(reference_energy(graph_of(description), state)[0])
        assert all((made.refusal(gate) is None) == (gate.key in made.opened) for gate in made.gates)
    made = WithinBudget().schedule(description, eta)
    assert made.exact
    limit = float("inf") if made.budget is None else made.budget + 1e-9
    totals = [
        sum(eta[gate.key] - OPEN for gate in chosen)
        for size in range(len(made.gates) + 1)
        # gates in a circle never open
        for chosen in itertools.combinations(in_order(made.gates), size)
        if all(gate.eta > OPEN and set(gate.after) <= {one.key for one in chosen} for gate in chosen)
        and sum(gate.cost for gate in chosen) <= limit
    ]
    assert sum(eta[key] - OPEN for key in made.opened) == pytest.approx(max(totals))


def test_a_hazard_opens_by_its_draw() -> None:
    gates = [{"key": key, "kind": "gating", "params": {"net": net}} for key, net in (("a", 0.2), ("b", -0.2))]
    description, eta = normal({"modules": gates}), {"a": 0.0, "b": 0.0}
    likely = 1 / (1 + math.exp(-10 * 0.2))
    assert ByHazard({"a": likely - 0.01, "b": 1 - likely + 0.01}).schedule(description, eta).opened == {"a"}
    assert ByHazard({"a": likely + 0.01, "b": 1 - likely - 0.01}).schedule(description, eta).opened == {"b"}
    # the relaxed state asks for neither, the threshold for the one that pays
    assert WithinBudget().schedule(description, eta).opened == frozenset()
    assert ByThreshold().schedule(description, eta).opened == {"a"}


def test_a_search_that_is_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nvp.coordinator.gating.MOST_VISITS", 20)
    gates = [Gate(key=str(n), eta=0.9, net=0.0, benefit=0.0, cost=1.0 + n / 100, after=()) for n in range(30)]
    opened, exact = best_set({gate.key: 0.4 + int(gate.key) / 1000 for gate in gates}, gates, 10.0)
    assert not exact
    assert sum(gate.cost for gate in gates if gate.key in opened) <= 10
    assert len(opened) > 5


def test_gates_in_a_circle_never_open() -> None:
    around = [Gate(key=a, eta=1.0, net=0.0, benefit=0.0, cost=0.0, after=(b,)) for a, b in ("ab", "bc", "ca")]
    assert in_order(around) == []


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        # what comes after is not worth it: nothing is done
        (0.1, NAMES[:4]),
        # it is, so that it pulls the dear stage open; the last stage would exceed the budget
        (0.6, NAMES[:6]),
    ],
)
def test_stages_of_an_experiment(later: float, expected: tuple[str, ...]) -> None:
    """Seven stages, of which `execute` costs more than it gains by itself."""
    gains = [0.5, 0.6, 0.6, 0.6, 0.1, later, later]
    stages = [
        Stage(
            name=name,
            gain=gain,
            cost=10.0 if name == "execute" else 2.0,
            shadows=(0.5, 0.5, -0.5) if name == "spawn" else (),
        )
        for name, gain in zip(NAMES, gains, strict=True)
    ]
    description = stage_graph(stages, budget=20.0)
    found = relax(graph_of(description), RelaxConfig(), jax.random.key(0))
    eta = dict(zip(keys_of(description), found.eta.tolist(), strict=True))
    made = WithinBudget().schedule(description, eta)
    assert tuple(name for name in NAMES if name in made.opened) == expected
    assert made.spent == pytest.approx(sum(stage.cost for stage in stages[: len(expected)]))
    assert made.energy == pytest.approx(float(found.energy))
    # the shadows pull together, and the verdict is the vote
    votes = [eta[f"spawn/shadow {n}"] for n in (1, 2, 3)]
    assert max(votes) - min(votes) < 1.0
    assert consensus([0.9, 0.8, 0.1])
    assert not consensus([0.9, 0.5, 0.1])
    with pytest.raises(FieldError, match="odd number"):
        consensus([0.9, 0.8])
    with pytest.raises(FieldError, match="budget > 0"):
        stage_graph(stages, budget=0.0)


def test_a_chain_of_thousands_is_put_in_order_without_searching_it() -> None:
    count = 20_000  # looked at once: in rounds it would take hours
    last_first = [
        Gate(key=str(n), eta=0.6, net=0.0, benefit=0.0, cost=1.0, after=(str(n - 1),) if n else ())
        for n in reversed(range(count))
    ]
    assert [gate.key for gate in in_order(last_first)] == [str(n) for n in range(count)]
    assert best_set(dict.fromkeys(map(str, range(300)), 0.1), last_first[-300:], 5.0) == (frozenset("01234"), True)
