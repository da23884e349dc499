"""Hypotheses: evidence as wells, what they say of each other as couplings."""

from __future__ import annotations

from typing import Any

import jax
import pytest

from nvp.coordinator.beliefs import well
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.description import graph_of, keys_of, normal
from nvp.coordinator.relax import relax
from nvp.errors import FieldError


def settled(*couplings: dict[str, Any], **evidence: tuple[float, float]) -> dict[str, float]:
    modules = [
        {"key": key, "kind": "hypothesis", "params": {"supporting": s, "refuting": r}}
        for key, (s, r) in evidence.items()
    ]
    description = normal({"modules": modules, "couplings": list(couplings)})
    found = relax(graph_of(description), RelaxConfig(), jax.random.key(0))
    return dict(zip(keys_of(description), found.eta.tolist(), strict=True))


def test_evidence_is_laplaces_rule_and_its_count() -> None:
    assert well(0.0, 0.0) == {"a": 0.0, "target": 0.5}
    assert well(8.0, 2.0) == {"a": 10.0, "target": 0.75}
    assert settled(a=(8.0, 2.0), b=(1.0, 3.0)) == pytest.approx({"a": 0.75, "b": 1 / 3})


def test_what_a_weight_is_worth() -> None:
    """A coupling of weight w pulls as w pieces of evidence do: 4 against 4 meet in the middle."""
    pull = {"kind": "quadratic", "from": "a", "to": "b", "params": {"weight": 4.0}}
    together = settled(pull, a=(4.0, 0.0), b=(0.0, 4.0))
    # targets 5/6 and 1/6; by symmetry each gives way by 1/3 of their distance
    assert together == pytest.approx({"a": 5 / 6 - 2 / 9, "b": 1 / 6 + 2 / 9})


@pytest.mark.parametrize(
    ("word", "params"),
    [("entails", {}), ("supports", {"scale": 0.5}), ("contradicts", {}), ("redeems", {"weight": 4.0})],
)
def test_words_pull_the_way_they_say(word: str, params: dict[str, Any]) -> None:
    # by evidence alone they are held with 3/4 and 1/4
    evidence = {"a": (5.0, 1.0), "b": (1.0, 5.0)}
    apart = settled(**evidence)
    found = settled({"kind": word, "from": "a", "to": "b", "params": params}, **evidence)
    gap = apart["a"] - apart["b"]
    match word:
        case "entails":  # b is drawn up to a, and a down to b
            assert apart["a"] > found["a"] > found["b"] > apart["b"]
            assert found["a"] + found["b"] == pytest.approx(apart["a"] + apart["b"])
            # 2n·(moved) = 2w·(gap left), n = 6, w = 1
            assert found["a"] - found["b"] == pytest.approx(gap * 6 / 8)
        case "supports":  # as entails, but only up to half of a
            assert found["b"] > apart["b"]
            assert found["b"] < settled({"kind": "entails", "from": "a", "to": "b"}, **evidence)["b"]
        case "contradicts":  # their sum is 1 already
            assert found == pytest.approx(apart)
            more = settled({"kind": word, "from": "a", "to": "b"}, a=(5.0, 1.0), b=(3.0, 3.0))
            assert more["a"] + more["b"] < 0.75 + 0.5
        case "redeems":  # later evidence: only a is drawn, towards 1
            assert found["a"] == pytest.approx((6 * 0.75 + 4) / 10)
            assert found["b"] == pytest.approx(apart["b"])


def test_words_are_accounted_under_their_own_name() -> None:
    modules = [{"key": key, "kind": "hypothesis"} for key in "ab"]
    made = normal({"modules": modules, "couplings": [{"kind": "entails", "from": "a", "to": "b"}]})
    (coupling,) = made["couplings"]
    assert (coupling["kind"], coupling["from"], coupling["to"]) == ("directed_hinge", "b", "a")
    assert coupling["term"] == "coup:entails"
    assert normal(made) == made


@pytest.mark.parametrize(
    ("module", "coupling", "code"),
    [
        ({"supporting": 1, "a": 2.0}, {}, "BAD_PARAMETER"),
        ({"supporting": -1}, {}, "BAD_PARAMETER"),
        ({"supporting": True}, {}, "BAD_PARAMETER"),
        ({}, {"kind": "entails", "params": {"beta": 2.0}}, "BAD_PARAMETER"),
        ({}, {"kind": "implies"}, "UNKNOWN_KIND"),
        ({}, {"to": "z"}, "BAD_INDEX"),
    ],
)
def test_what_is_no_belief_is_told(module: dict[str, Any], coupling: dict[str, Any], code: str) -> None:
    modules = [{"key": "a", "kind": "hypothesis", "params": module}, {"key": "b", "kind": "hypothesis"}]
    with pytest.raises(FieldError) as caught:
        normal({"modules": modules, "couplings": [{"kind": "entails", "from": "a", "to": "b", **coupling}]})
    assert caught.value.code == code
