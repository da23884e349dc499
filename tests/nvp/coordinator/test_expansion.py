"""A module is added only where ΔF + γ < −τ, and only for what it does itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nvp.coordinator.candidates import Candidate, extended
from nvp.coordinator.description import graph_of, normal
from nvp.coordinator.expansion import Expansion, propose_expansion
from nvp.coordinator.reference import reference_energy
from nvp.errors import FieldError

GRAPH: dict[str, Any] = {
    "modules": [
        {"key": "a", "kind": "compression", "params": {"target": 0.2}},
        {"key": "b", "kind": "compression", "params": {"target": 0.9}},
    ],
    "couplings": [{"kind": "quadratic", "from": "a", "to": "b", "params": {"weight": 0.5}}],
}


def well(depth: float) -> dict[str, Any]:
    """A module of its own whose least energy is −depth, at η = 1."""
    return {"kind": "polynomial", "params": {"coefficients": [0.0, -depth], "basis": "monomial", "normalized": False}}


CANDIDATES = [
    Candidate(key="deep", module=well(0.5)),
    Candidate(key="deeper", module=well(0.6)),
    Candidate(key="deepest", module=well(0.7)),
    Candidate(key="shallow", module=well(0.1)),
    Candidate(
        key="gate",
        module={"kind": "gating", "params": {"a": 0.1, "b": 0.0}},
        couplings=[
            {"kind": "gate_benefit", "from": "gate", "to": "a", "delta": "gain"},
            {"kind": "quadratic", "from": "b", "to": "gate", "params": {"weight": 0.01}},
        ],
        deltas={"gain": 1.0},
    ),
]


@pytest.fixture(scope="module")
def found() -> Expansion:
    return propose_expansion(GRAPH, CANDIDATES, gamma=0.2, tau=0.1)


def test_accepted_is_the_inequality(found: Expansion) -> None:
    assert [each.key for each in found.scores] == [each.key for each in CANDIDATES]
    for score, candidate in zip(found.scores, CANDIDATES, strict=True):
        assert score.accepted == (score.delta + 0.2 < -0.1)
        assert score.delta == pytest.approx(score.energy_after - score.energy_before, abs=1e-15)
        larger = extended(normal(GRAPH), candidate)
        eta = [score.eta[each["key"]] for each in larger["modules"]]
        assert score.energy_after == pytest.approx(reference_energy(graph_of(larger), eta)[0], abs=1e-12)
    by_key = {each.key: each for each in found.scores}
    assert [by_key[key].delta for key in ("deep", "deeper", "shallow")] == pytest.approx([-0.5, -0.6, -0.1], abs=1e-7)
    assert not by_key["shallow"].accepted


def test_no_more_than_two_survive(found: Expansion) -> None:
    deltas = {each.key: each.delta for each in found.scores}
    assert found.survivors == tuple(sorted(deltas, key=lambda key: deltas[key])[:2])
    assert "deep" not in found.survivors


def test_the_parent_is_whom_it_helps_most(found: Expansion) -> None:
    """The gate's benefit of −Δη is borne by gate and `a` alike; the spring to `b` costs energy."""
    gate = found.scores[-1]
    assert gate.parent == "a"
    assert gate.benefits["a"] == pytest.approx(-0.5 * gate.eta["gate"], abs=1e-2)
    assert gate.benefits["b"] > gate.benefits["a"]
    assert found.scores[0].parent is None


def test_price_and_gate_are_strict() -> None:
    """A free module that gains exactly what is asked is not added; γ and τ are the graph's where none are given."""
    nothing = propose_expansion(GRAPH, [Candidate(key="new", module=well(0.0))])
    assert nothing.scores[0].delta == pytest.approx(0, abs=1e-12)
    assert not nothing.survivors
    deep = [Candidate(key="new", module=well(0.5))]
    assert propose_expansion({**GRAPH, "gamma": 0.3, "tau": 0.1}, deep).survivors == ("new",)
    assert propose_expansion({**GRAPH, "gamma": 0.3, "tau": 0.3}, deep).survivors == ()


def test_a_minimum_of_the_graph_is_nobodys_merit() -> None:
    """A push into the deeper of two wells lowers F by more than the push itself is worth: that is the graph's own."""
    two = {
        "modules": [
            {
                "key": "a",
                "kind": "polynomial",
                # minima near ±0.7 of ξ; from the middle, the left and shallower one
                "params": {"coefficients": [0.0, 0.02, -1.0, -0.25, 1.0], "basis": "monomial"},
            }
        ]
    }
    push = Candidate(
        key="push",
        module={"kind": "compression", "params": {"a": 10.0, "target": 1.0}},
        couplings=[{"kind": "quadratic", "from": "push", "to": "a", "params": {"weight": 10.0}}],
    )
    found = propose_expansion(two, [push], start={"a": 0.45})
    score = found.scores[0]
    naive = score.energy_after - found.energy
    assert naive < -0.02
    assert score.delta >= 0
    assert not score.accepted


@pytest.mark.parametrize(
    ("candidate", "code"),
    [
        (Candidate(key="a", module=well(1.0)), "BAD_KEY"),
        (Candidate(key="c", module={"kind": "well"}), "UNKNOWN_KIND"),
        (
            Candidate(key="c", module=well(1.0), couplings=[{"kind": "quadratic", "from": "a", "to": "b"}]),
            "BAD_INDEX",
        ),
        (
            Candidate(key="c", module=well(1.0), couplings=[{"kind": "quadratic", "from": "c", "to": "d"}]),
            "BAD_INDEX",
        ),
    ],
)
def test_what_does_not_fit_is_refused(candidate: Candidate, code: str) -> None:
    with pytest.raises(FieldError) as refused:
        propose_expansion(GRAPH, [candidate])
    assert refused.value.code == code


def test_settings_out_of_range_are_refused() -> None:
    for given in ({"gamma": -1.0}, {"tau": np.nan}, {"keep": 3}):
        with pytest.raises(FieldError):
            propose_expansion(GRAPH, CANDIDATES, **given)
    with pytest.raises(FieldError):
        propose_expansion(GRAPH, CANDIDATES[:1] * 2)
