"""Descriptions: equal graphs have one form, and what is no graph is told in one line."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from nvp.coordinator.description import graph_of, keys_of, normal
from nvp.coordinator.reference import reference_energy, reference_rows
from nvp.errors import FieldError

GRAPH: dict[str, Any] = {
    "modules": [
        {"key": "b", "kind": "landau", "params": {"a": -1.0, "h": 0.1}},
        {"key": "a", "kind": "hypothesis", "params": {"target": 0.8}, "term": "belief"},
        {"key": "c", "kind": "polynomial", "params": {"coefficients": [0.0, 1.0, 0.5]}},
    ],
    "couplings": [
        {"kind": "quadratic", "from": "b", "to": "a", "params": {"weight": 0.5}},
        {"kind": "gate_benefit", "from": "a", "to": "c", "delta": "gain"},
        {"kind": "quadratic", "from": "b", "to": "a", "params": {"weight": 0.25}},
    ],
    "weights": {"belief": 2.0},
    "deltas": {"gain": 0.1},
}


def test_order_does_not_matter() -> None:
    rng = random.Random(0)
    first = normal(GRAPH)
    for _ in range(10):
        shuffled = {**GRAPH, "modules": GRAPH["modules"][:], "couplings": GRAPH["couplings"][:]}
        rng.shuffle(shuffled["modules"])
        rng.shuffle(shuffled["couplings"])
        assert normal(shuffled) == first
    assert normal(first) == first
    assert keys_of(first) == ("a", "b", "c")


def test_it_is_the_graph_that_was_described() -> None:
    # by hand: 2·(0.5 − 0.8)² + (−0.5² + 0.5⁴ − 0.1·0.5) + ½·P₂(0)·… of the Legendre series at ξ = 0 + couplings
    eta = np.array([0.5, 0.5, 0.5])
    value, _ = reference_energy(graph_of(normal(GRAPH)), eta)
    legendre = 0.5 * -0.5
    assert value == pytest.approx(2 * 0.09 + (-0.25 + 0.0625 - 0.05) + legendre - 0.1 * 0.5)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"modules": [], "couplings": []}, "EMPTY_GRAPH"),
        ({"modules": [{"key": "a"}]}, "BAD_GRAPH"),
        ({"modules": [{"key": "", "kind": "landau"}]}, "BAD_GRAPH"),
        ({"modules": GRAPH["modules"] + GRAPH["modules"][:1]}, "BAD_KEY"),
        ({"modules": [{"key": "a", "kind": "landau", "a": 1.0}]}, "BAD_GRAPH"),
        ({"modules": [{"key": "a", "kind": "lindau"}], "couplings": []}, "UNKNOWN_KIND"),
        ({"modules": "landau"}, "BAD_GRAPH"),
        ({"couplings": [{"kind": "quadratic", "from": "a", "to": "d"}]}, "BAD_INDEX"),
        ({"couplings": [{"kind": "quadratic", "from": "a", "to": "a"}]}, "BAD_INDEX"),
        ({"couplings": [{"kind": "gate_benefit", "from": "a", "to": "b", "delta": "lost"}]}, "MISSING_DELTA"),
        ({"couplings": [{"kind": "quadratic", "from": "a", "to": "b", "params": {"weight": -1}}]}, "BAD_PARAMETER"),
        ({"couplings": [{"kind": "quadratic", "from": "a", "to": "b", "params": [1]}]}, "BAD_GRAPH"),
        ({"weights": {"lost": 1.0}}, "UNKNOWN_TERM"),
        ({"deltas": {"gain": float("nan")}}, "NONFINITE"),
        ({"weights": {"belief": "much"}}, "NONFINITE"),
        ({"gamma": True}, "NONFINITE"),
        ({"gama": 1.0}, "BAD_GRAPH"),
        # what JSON may have, and arithmetic not
        ({"gamma": 10**400}, "NONFINITE"),
        ({"gamma": 10**5000}, "NONFINITE"),
        ({"budget": 10**400}, "NONFINITE"),
        ({"weights": {"belief": 1e300}}, "NONFINITE"),
        ({"weights": {5: 1.0}}, "BAD_GRAPH"),
        ({"deltas": ["gain"]}, "BAD_GRAPH"),
        ({"allow_missing_delta": "false"}, "BAD_GRAPH"),
        ({"modules": [{**GRAPH["modules"][0], "term": 5}]}, "BAD_GRAPH"),
        ({"modules": [{**GRAPH["modules"][0], "params": {"a": 10**400}}], "couplings": []}, "NONFINITE"),
        ({"modules": [{"key": "h", "kind": "hypothesis", "params": {"supporting": 10**400}}]}, "BAD_PARAMETER"),
        ({"couplings": [{**GRAPH["couplings"][1], "delta": ["gain"]}]}, "BAD_GRAPH"),
        (
            {"couplings": [{"kind": "redemption", "from": "a", "to": "b", "params": {"offset": 1e300}}]},
            "NONFINITE",
        ),
        *(
            ({"modules": [{"key": "a", "kind": "polynomial", "params": params}], "couplings": []}, code)
            for params, code in (
                ({"coefficients": "abc"}, "BAD_BASIS"),
                ({"coefficients": [0.0, "1"]}, "BAD_BASIS"),
                ({"coefficients": {}}, "BAD_BASIS"),
                ({"coefficients": [10**400]}, "BAD_BASIS"),
                ({"coefficients": [0.0, None]}, "BAD_BASIS"),
                ({"coefficients": [True]}, "BAD_BASIS"),
                ({"coefficients": [1e300]}, "NONFINITE"),
                ({"coefficients": [1.0], "basis": [[1], [1, 2]]}, "BAD_BASIS"),
                ({"coefficients": [1.0], "basis": "apc"}, "BAD_BASIS"),
                ({"coefficients": [1.0], "normalized": "no"}, "BAD_PARAMETER"),
                # in powers of η its values would be noise
                ({"coefficients": [1.0] * 30}, "BAD_BASIS"),
                ({"coefficients": [1.0] * 3000}, "BAD_BASIS"),
            )
        ),
    ],
)
def test_what_is_no_graph_is_told(change: dict[str, Any], code: str) -> None:
    with pytest.raises(FieldError) as caught:
        normal({**GRAPH, **change})
    assert caught.value.code == code
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_whole_numbers_are_real_ones() -> None:
    whole = {**GRAPH, "couplings": [{**GRAPH["couplings"][0], "params": {"weight": 2}}], "deltas": {}, "gamma": 1}
    graph = graph_of(normal(whole))
    for number in (graph.couplings[0].params["weight"], graph.gamma, graph.weights["belief"]):
        assert type(number) is float


def test_messages_call_modules_by_their_keys() -> None:
    with pytest.raises(FieldError, match=r"module 'b'"):
        normal({"modules": [{"key": "b", "kind": "gating", "params": {"a": -1}}, {"key": "a", "kind": "gating"}]})
    with pytest.raises(FieldError, match=r"coupling from 'b' to 'a'"):
        normal({**GRAPH, "couplings": [{**GRAPH["couplings"][0], "params": {"weight": float("inf")}}]})


def test_the_largest_numbers_stay_finite() -> None:
    largest = {"target": 1e20, "scale": -1e20, "offset": -1e20, "weight": 1e20}
    damped = {"weight": 1e20, "damping": 1e20, "positive": 1e20, "power": 1e20}
    hinge = {"weight": 1e20, "alpha": 1e20, "beta": 1e20}
    graph = graph_of(
        normal(
            {
                "modules": [{"key": "a", "kind": "landau", "params": {"a": 1e20}}, {"key": "b", "kind": "landau"}],
                "couplings": [
                    {"kind": kind, "from": "a", "to": "b", "params": params, "delta": "d", "term": "all"}
                    for kind, params in (
                        ("redemption", largest),
                        ("damped_gate_benefit", damped),
                        ("asymmetric_hinge", hinge),
                    )
                ],
                "weights": {"all": 1e20},
                "deltas": {"d": 1e20},
            }
        )
    )
    assert np.isfinite(reference_rows(graph)).all()
    for state in ([0.0, 0.0], [1.0, 1.0], [0.0, 1.0]):
        value, gradient = reference_energy(graph, state)
        assert np.isfinite([value, *gradient, gradient @ gradient]).all()
