"""Verdicts: what decides, what is said beside it, and how sure one may be."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import numpy as np
import pytest

from nvp.errors import FieldError
from resolvers.ace.expansion import Plan, plan
from resolvers.ace.grammar import parse
from resolvers.ace.successors import successors
from resolvers.ace.verdicts import Sample, Verdict, judge, updated
from resolvers.ace.words import counted

# fidelities of 30 sequences around 0.8, and how much better than ridge they are
FIDELITY = 0.8 + 0.05 * np.random.default_rng(3).standard_normal(30)
PLASMA = "on plasma the base model keeps fidelity above {}"


def samples(plan: Plan, values: list[float], ridge: float = 0.2) -> Iterator[Sample]:
    """The same value at each lead but 0.1 less from step to step."""
    for number, value in enumerate(values):
        said = {part.name: value - 0.1 * (part.claim.horizon - 1) for part in plan.parts if part.role == "necessary"}
        yield Sample(uid=f"s{number}", values={**said, "beats ridge": ridge})


def verdict_at(threshold: float, *, values: list[float] | None = None, ridge: float = 0.2) -> Verdict:
    made = plan(parse(PLASMA.format(threshold)))
    return judge(made, samples(made, list(FIDELITY) if values is None else values, ridge))


def test_the_threshold_decides_on_which_side_the_verdict_falls() -> None:
    said = {threshold: verdict_at(threshold).verdict for threshold in (0.6, 0.7, 0.8, 0.9, 0.95)}
    assert said == {0.6: "supported", 0.7: "supported", 0.8: "undetermined", 0.9: "refuted", 0.95: "refuted"}


def test_a_supported_claim_and_what_it_rests_on() -> None:
    found = verdict_at(0.7)
    assert found.stopped_by == "decision"
    assert 8 <= len(found.cited) < 30
    assert found.cited[0] == "s0"
    seen = FIDELITY[: len(found.cited)]
    assert found.of("lead 1").median == pytest.approx(np.median(seen))
    assert found.effect == pytest.approx(np.median(seen) - 0.7)
    low, high = found.interval
    assert low is not None
    assert high is not None
    # what is supported has its whole interval on the claim's side
    assert 0.7 < low <= np.median(seen) <= high
    assert found.credence > 0.95
    assert found.caveats == ()
    assert "holds for the typical sequence" in found.reading
    json.dumps(found.to_json(), allow_nan=False)
    assert "credence 0.5 →" in found.text()


def test_the_effect_is_counted_towards_the_claims_side() -> None:
    made = plan(parse("on plasma the base model keeps VRMSE below 0.9"))
    values = {"lead 1": 0.8, "beats persistence": -0.1, "beats ridge": -0.1}
    found = judge(made, [Sample(uid=str(i), values=values) for i in range(30)])
    assert found.verdict == "supported"
    assert found.effect == pytest.approx(0.1)


def test_one_lead_that_fails_refutes_the_whole() -> None:
    made = plan(parse("on plasma the base model keeps fidelity above 0.55 for 5 steps"))
    found = judge(made, samples(made, list(FIDELITY)))
    assert found.verdict == "refuted"
    assert found.decisive == "lead 5" or found.decisive == "lead 4"
    assert found.effect is not None
    assert found.effect < 0
    assert found.of("lead 1").decision != "refuted"
    assert found.credence < 0.05
    assert f"fails at {found.decisive}" in found.reading


def test_too_few_sequences_leave_it_open() -> None:
    found = verdict_at(0.6, values=list(FIDELITY[:6]))
    assert found.verdict == "undetermined"
    assert found.stopped_by == "sequences"
    assert found.interval == (None, None)
    # not decided, but what was seen counts
    assert 0.5 < found.credence < 1
    none = verdict_at(0.6, values=[])
    assert (none.verdict, none.effect, none.credence) == ("undetermined", None, 0.5)


def test_no_more_is_drawn_than_it_takes() -> None:
    made = plan(parse(PLASMA.format(0.5)), sequences=12)
    source = samples(made, [0.9] * 100)
    found = judge(made, source)
    assert next(source).uid == f"s{len(found.cited)}"
    # nor more than was planned
    made = plan(parse(PLASMA.format(0.5)), sequences=12)
    assert len(judge(made, samples(made, [0.4, 0.6] * 50)).cited) == 12


def test_the_pooled_headline_must_say_the_same() -> None:
    made = plan(parse(PLASMA.format(0.7)))
    split = judge(made, samples(made, list(FIDELITY)), headline={"lead 1": 0.65})
    assert split.verdict == "undetermined"
    assert "headline (0.65, pooled) does not" in split.caveats[0]
    assert split.credence == 0.5
    assert judge(made, samples(made, list(FIDELITY)), headline={"lead 1": 0.75}).verdict == "supported"
    high = plan(parse(PLASMA.format(0.9)))
    assert judge(high, samples(high, list(FIDELITY)), headline={"lead 1": 0.95}).verdict == "undetermined"
    assert judge(high, samples(high, list(FIDELITY)), headline={"lead 1": 0.85}).verdict == "refuted"


def test_what_ridge_does_as_well_is_said() -> None:
    assert "ridge does better on the same frames" in verdict_at(0.6, ridge=-0.1).caveats[0]
    assert verdict_at(0.6, ridge=-0.1).verdict == "supported"
    assert "may do as well" in verdict_at(0.6, ridge=math.nan).caveats[-1]


def test_void_sequences_dependence_and_budget_are_caveats() -> None:
    made = plan(parse(PLASMA.format(0.6)))
    found = judge(made, samples(made, [math.nan, *FIDELITY]), drawn="days")
    assert found.verdict == "supported"
    assert any("1 sequence could not be scored: too short, or nothing changes in it." in one for one in found.caveats)
    assert any("are days, which follow each other" in one for one in found.caveats)
    poor = judge(made, samples(made, list(FIDELITY[:3])), budget_gone=True)
    assert poor.stopped_by == "budget"
    assert "budget" in poor.caveats[0]


def test_credence_follows_bayes_and_never_is_certain() -> None:
    assert updated(0.5, 3.0) == pytest.approx(0.75)
    assert updated(0.2, 4.0) == pytest.approx(0.5)
    assert updated(updated(0.3, 2.0), 5.0) == pytest.approx(updated(0.3, 10.0))
    assert updated(0.5, 1e300) == 1 - 1e-6
    assert updated(0.5, math.inf) == 1 - 1e-6
    assert updated(0.5, 0.0) == 1e-6


def test_samples_and_priors_are_checked() -> None:
    made = plan(parse(PLASMA.format(0.6)))
    with pytest.raises(FieldError, match="got none of beats ridge for 'x'"):
        judge(made, [Sample(uid="x", values={"lead 1": 0.5})])
    with pytest.raises(FieldError, match="prior"):
        judge(made, [], prior=1.0)


def test_what_to_ask_next() -> None:
    claim = parse("on plasma the base model keeps fidelity above 0.55 for 5 steps")
    made = plan(claim)
    refuted = judge(made, samples(made, list(FIDELITY)))
    asked = successors(claim, refuted)
    failed = min(int(one.name[5:]) for one in refuted.findings if one.decision == "refuted")
    assert asked[0].horizon == failed - 1
    assert all(one.threshold <= 0.55 for one in asked)

    claim = parse(PLASMA.format(0.6))
    made = plan(claim)
    further, sharper, noisy = successors(claim, judge(made, samples(made, list(FIDELITY))))
    assert further.horizon == 2
    assert 0.6 < sharper.threshold < 0.8
    assert noisy.perturbation is not None
    assert successors(claim, judge(made, samples(made, []))) == ()


def test_what_is_said_is_english_whatever_the_number() -> None:
    assert [counted(n, "sequence") for n in (0, 1, 2)] == ["0 sequences", "1 sequence", "2 sequences"]
    assert (counted(3, "new sequence"), counted(2, "hypothesis")) == ("3 new sequences", "2 hypotheses")
    one, five = (
        judge(made := plan(parse(f"{PLASMA.format(0.3)} for {steps} steps")), samples(made, [0.9] * 20))
        for steps in (1, 5)
    )
    assert one.reading.endswith("holds for the typical sequence (8 looked at).")
    assert "at each of 5 leads" in five.reading
