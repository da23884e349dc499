"""Claims: one form for one meaning, and nothing that no number could refute."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nvp.errors import FieldError
from resolvers.ace.claims import Claim, Perturbation

CLAIM = Claim(metric="fidelity", comparator=">", threshold=0.9, domain="active_matter", model="base", horizon=5)


@pytest.mark.parametrize(
    ("comparator", "value", "holds"),
    [(">", 0.9, False), (">", 0.91, True), (">=", 0.9, True), ("<", 0.9, False), ("<=", 0.9, True), ("<", 0.89, True)],
)
def test_which_side_a_value_is_on(comparator: Any, value: float, holds: bool) -> None:
    assert replace(CLAIM, comparator=comparator).holds(value) is holds


def test_leads() -> None:
    assert CLAIM.steps == (1, 2, 3, 4, 5)
    assert replace(CLAIM, leads="last").steps == (5,)
    # the first lead alone is the last of one
    assert replace(CLAIM, horizon=1, leads="last") == replace(CLAIM, horizon=1)


def test_keys_are_of_the_meaning() -> None:
    whole = Claim(metric="vrmse", comparator="<", threshold=1, domain="active_matter")
    assert whole.key() == replace(whole, threshold=1.0).key()
    assert len({one.key() for one in (CLAIM, replace(CLAIM, horizon=4), replace(CLAIM, comparator=">="))}) == 3
    assert Claim.from_json(json.loads(json.dumps(CLAIM.to_json()))).key() == CLAIM.key()
    # written down: whoever changes the canonical form changes the version
    assert CLAIM.key() == "8ed76500dc9ac7aab13d2ca12b027b823dbe2085045626b2e46b855c91485994"


def test_better_than_persistence_is_a_fidelity_above_0() -> None:
    said = Claim(metric="fidelity", comparator=">", threshold=0.1, domain="active_matter", versus="persistence")
    assert said == Claim(metric="fidelity", comparator=">", threshold=0.1, domain="active_matter")
    # of perturbed inputs persistence is another forecast
    noisy = Perturbation(operation="gaussian_noise", amount=0.01)
    assert replace(CLAIM, versus="persistence", perturbation=noisy).versus == "persistence"


@pytest.mark.parametrize(
    "change",
    [
        {"metric": "beauty"},
        {"comparator": "="},
        {"threshold": float("nan")},
        {"threshold": float("inf")},
        {"threshold": True},
        {"threshold": 1.0},
        {"threshold": 1.5},
        {"metric": "vrmse", "comparator": ">=", "threshold": 0.0},
        {"metric": "vrmse", "comparator": "<", "threshold": 0.0},
        {"domain": "Active Matter"},
        {"versus": "luck"},
        {"model": "huge"},
        {"model": "ridge", "versus": "ridge"},
        {"model": "checkpoint:12"},
        {"regime": "odd"},
        {"horizon": 0},
        {"horizon": 1001},
        {"leads": "some"},
    ],
)
def test_what_is_no_claim_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(FieldError, match="expected"):
        replace(CLAIM, **change)


@pytest.mark.parametrize(
    ("metric", "comparator", "threshold"),
    [("fidelity", ">=", 1.0), ("fidelity", "<", 1.0), ("vrmse", ">", 0.0), ("second_law_violations", "<=", 0.0)],
)
def test_a_bound_of_the_range_may_be_hit_or_missed(metric: str, comparator: Any, threshold: float) -> None:
    assert replace(CLAIM, metric=metric, comparator=comparator, threshold=threshold).decidable


@pytest.mark.parametrize(
    ("operation", "amount"),
    [
        ("gaussian_noise", 0.0),
        ("gaussian_noise", 1.01),
        ("translation", 1.5),
        ("stirring", 1.0),
        ("rotation", float("nan")),
    ],
)
def test_perturbations_that_there_are_not(operation: str, amount: float) -> None:
    with pytest.raises(FieldError, match="expected"):
        Perturbation(operation=operation, amount=amount)


@pytest.mark.parametrize(
    "plain",
    [
        {**CLAIM.to_json(), "version": 2},
        {**CLAIM.to_json(), "colour": "red"},
        {"metric": "fidelity"},
        {**CLAIM.to_json(), "threshold": "high"},
        {**CLAIM.to_json(), "perturbation": {"kind": "noise"}},
        {**CLAIM.to_json(), "perturbation": 3},
        {**CLAIM.to_json(), "horizon": 1.5},
        {**CLAIM.to_json(), "domain": None},
        {**CLAIM.to_json(), "model": 3},
        {**CLAIM.to_json(), "metric": ["fidelity"]},
        "x",
        ["fidelity", ">", 0.9],
    ],
)
def test_json_that_is_no_claim_is_refused(plain: Any) -> None:
    with pytest.raises(FieldError, match="expected") as refused:
        Claim.from_json(plain)
    assert "__init__" not in str(refused.value)
