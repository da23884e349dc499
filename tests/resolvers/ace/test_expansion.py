"""Plans: what a claim is taken apart into."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nvp.errors import FieldError
from resolvers.ace.expansion import expand, names, plan
from resolvers.ace.grammar import parse


def roles(sentence: str) -> dict[str, str]:
    return {part.name: part.role for part in expand(parse(sentence))}


@pytest.mark.parametrize(
    ("sentence", "leads", "controls"),
    [
        # above a fidelity of 0 persistence is beaten as it is
        ("on plasma the base model keeps fidelity above 0.9 for 3 steps", (1, 2, 3), ["beats ridge"]),
        ("on plasma the base model keeps fidelity above -0.1", (1,), ["beats persistence", "beats ridge"]),
        ("on plasma the base model keeps fidelity below 0.9", (1,), ["beats persistence", "beats ridge"]),
        ("on plasma the base model keeps VRMSE below 0.2 at step 4", (4,), ["beats persistence", "beats ridge"]),
        ("on plasma the base model beats ridge for 2 steps", (1, 2), ["beats persistence"]),
        ("on plasma ridge keeps fidelity above 0.3", (1,), []),
        ("on plasma persistence has VRMSE above 0.2", (1,), ["beats ridge"]),
        (
            "on plasma the base model keeps fidelity above 0.5 under 1 % noise",
            (1,),
            ["beats persistence", "beats ridge"],
        ),
    ],
)
def test_leads_are_necessary_and_baselines_control(sentence: str, leads: tuple[int, ...], controls: list[str]) -> None:
    found = roles(sentence)
    assert [name for name, role in found.items() if role == "necessary"] == [f"lead {lead}" for lead in leads]
    assert [name for name, role in found.items() if role == "control"] == controls


def test_parts_are_claims_of_one_lead_that_can_fail() -> None:
    claim = parse("on plasma the base model keeps VRMSE below 0.2 for 3 steps under 1 % noise")
    parts = expand(claim)
    assert [part.claim.steps for part in parts] == [(1,), (2,), (3,), (3,), (3,)]
    assert all(part.claim.perturbation == claim.perturbation for part in parts)
    third, ridge = parts[2], parts[4]
    assert third.claim.holds(0.1)
    assert not third.claim.holds(0.2)
    # the error of the model less that of ridge
    assert ridge.claim.holds(-0.01)
    assert not ridge.claim.holds(0.0)
    assert ridge.against == "ridge"
    assert "at least 0.2" in third.null
    assert "more than half of the sequences" in third.refuted_if
    assert all(parse(part.claim.sentence()) == part.claim for part in parts)


def test_a_plan_is_json_and_says_how_it_will_be_decided() -> None:
    made = plan(parse("on plasma the base model keeps fidelity above 0.4 for 2 steps"), expect=(0.5, 0.05))
    said = json.loads(json.dumps(made.to_json()))
    assert said["test"]["tests"] == 3
    assert said["test"]["decides"] == pytest.approx(60)
    assert said["test"]["fewest"] == made.fewest == 9
    assert "stop" in said["test"]["stopping_rule"]
    assert said["expected"]["share"] == pytest.approx(0.977, abs=1e-3)
    assert [one["share"] for one in said["power"]] == [0.6, 0.7, 0.8, 0.9, 0.95, 1.0]
    assert said["caveats"] == []
    assert names(made.parts, "control") == ("beats ridge",)
    assert made.family().necessary == (True, True, False)


def test_a_plan_that_cannot_succeed_says_so() -> None:
    claim = parse("on plasma the base model keeps VRMSE below 0.4")
    few = plan(claim, sequences=5)
    assert few.caveats == ("5 sequences cannot decide it: 9 are the fewest.",)
    weak = plan(claim, expect=(0.39, 0.05))
    assert "probability of" in weak.caveats[0]
    assert "sequences would reach 0.8" in weak.caveats[0]
    wrong = plan(claim, expect=(0.5, 0.05))
    assert "no number of sequences" in wrong.caveats[0]


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"alpha": 0.6}, {"goal": 1.0}, {"sequences": 0}])
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(FieldError, match="expected"):
        plan(parse("on plasma fidelity is above 0.4"), **wrong)
