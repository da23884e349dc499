"""From what was measured to a verdict: supported, refuted or undetermined, how large, how sure, and with which caveats.

What decides is the sequential test of `resolvers.ace.sequential` on the typical (median) sequence. The headline of an
evaluation pools all sequences, so that a few bad ones weigh more: where it lies on the other side of the threshold, the
two answers differ and the verdict is undetermined.

Credence is updated by Bayes' rule: odds times the Bayes factor of the *weakest* necessary sub-hypothesis, for they
are not independent and the claim needs them all. Nobody becomes surer than 10⁻⁶ from certain.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from nvp.errors import FieldError
from resolvers.ace.expansion import Plan, Role, SubHypothesis
from resolvers.ace.metrics import BASELINES
from resolvers.ace.sequential import Decision, SignTest, median_interval
from resolvers.ace.words import counted

StoppedBy = Literal["decision", "sequences", "budget"]

SUREST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sequence: what it says of each sub-hypothesis, by name; NaN where nothing can be scored."""

    # what is cited: the uid of the sequence
    uid: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of one sub-hypothesis."""

    name: str
    role: Role
    decision: Decision
    null: str
    # median over sequences, its distance from the threshold, counted towards the claim's side, and its interval, of
    # which each end holds at level 1 − α/m whenever one stops; infinite ends are None
    median: float | None
    effect: float | None
    interval: tuple[float | None, float | None]
    # pooled over the sequences, as an evaluation has it, where somebody says it
    headline: float | None
    n: int
    on_its_side: int
    void: int
    evidence_for: float
    evidence_against: float
    bayes_factor: float

    def text(self) -> str:
        """A line for people."""
        low, high = ("∞" if bound is None else f"{bound:.4g}" for bound in self.interval)
        low = "−∞" if self.interval[0] is None else low
        middle = "nothing" if self.median is None else f"{self.median:.4g} [{low}, {high}]"
        return f"{self.decision:12} {self.name:24} {middle}, {self.on_its_side} of {self.n} on its side"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer, and all that it rests on."""

    verdict: Decision
    reading: str
    stopped_by: StoppedBy
    alpha: float
    # sequences that were looked at, in that order
    cited: tuple[str, ...]
    # the necessary sub-hypothesis that decides: the one refuted, else the weakest
    decisive: str
    findings: tuple[Finding, ...]
    prior: float
    credence: float
    caveats: tuple[str, ...] = field(default=())

    @property
    def effect(self) -> float | None:
        """Of the decisive sub-hypothesis, towards the claim's side."""
        return self.of(self.decisive).effect

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """Of the median that decides."""
        return self.of(self.decisive).interval

    def of(self, name: str) -> Finding:
        """The finding of this name."""
        return next(each for each in self.findings if each.name == name)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "effect": self.effect, "interval": self.interval, "n": len(self.cited)}

    def text(self) -> str:
        """Lines for people."""
        head = f"{self.verdict}: {self.reading}"
        sure = f"credence {self.prior:.3g} → {self.credence:.3g}"
        but = [f"but {one}" for one in self.caveats]
        return "\n".join([head, *(each.text() for each in self.findings), sure, *but])


def judge(
    plan: Plan,
    samples: Iterable[Sample],
    *,
    prior: float = 0.5,
    headline: Mapping[str, float] | None = None,
    drawn: str = "sequences",
    budget_gone: bool = False,
) -> Verdict:
    """Look at samples one by one until the rule says stop; no more are drawn from the iterator than it takes.

    `headline` says the pooled value by sub-hypothesis, `drawn` what the samples are where they are no independent
    sequences ("days"), `budget_gone` that there are no more because nobody pays.
    """
    if not 0 < prior < 1:
        raise FieldError("BAD_CONFIG", f"expected a prior in 0 … 1, got {prior}.", next_step="Use 0.5.")
    family, cited = plan.family(), list[Sample]()
    claims = {part.name: part.claim for part in plan.parts}
    source = iter(samples)
    while not family.stopped and len(cited) < plan.sequences and (sample := next(source, None)) is not None:
        if missing := sorted(set(claims) - set(sample.values)):
            raise FieldError(
                "BAD_SAMPLE",
                f"expected values of {', '.join(claims)}, got none of {', '.join(missing)} for {sample.uid!r}.",
                next_step="Use NaN where nothing can be scored.",
            )
        family = family.seen({name: _outcome(claim.holds, sample.values[name]) for name, claim in claims.items()})
        cited.append(sample)
    findings = tuple(
        _finding(part, decision, test, [one.values[part.name] for one in cited], plan, headline or {})
        for part, decision, test in zip(plan.parts, family.decisions, family.tests, strict=True)
    )
    needed = [each for each in findings if each.role == "necessary"]
    weakest = min(needed, key=lambda each: (each.decision != "refuted", each.bayes_factor))
    verdict, split = family.decision, _split(plan, needed, family.decision)
    if split:
        verdict = "undetermined"
    stopped: StoppedBy = "decision" if family.stopped else "budget" if budget_gone else "sequences"
    return Verdict(
        verdict=verdict,
        reading=_reading(plan, verdict, weakest, len(cited)),
        stopped_by=stopped,
        alpha=plan.alpha,
        cited=tuple(one.uid for one in cited),
        decisive=weakest.name,
        findings=findings,
        prior=prior,
        credence=prior if split else updated(prior, weakest.bayes_factor),
        caveats=(*split, *_caveats(plan, findings, verdict, stopped, drawn)),
    )


def updated(prior: float, factor: float) -> float:
    """Credence after evidence that multiplies the odds by `factor`."""
    odds = prior / (1 - prior) * factor
    return min(max(odds / (1 + odds) if math.isfinite(odds) else 1.0, SUREST), 1 - SUREST)


def _outcome(holds: Any, value: float) -> bool | None:
    return None if math.isnan(value) else holds(value)


def _finding(
    part: SubHypothesis,
    decision: Decision,
    test: SignTest,
    values: list[float],
    plan: Plan,
    headline: Mapping[str, float],
) -> Finding:
    seen = [value for value in values if not math.isnan(value)]
    low, high = median_interval(seen, bound=plan.family().bound)
    middle = statistics.median(seen) if seen else None
    towards = 1 if part.claim.comparator in (">", ">=") else -1
    return Finding(
        name=part.name,
        role=part.role,
        decision=decision,
        null=part.null,
        median=middle,
        effect=None if middle is None else towards * (middle - part.claim.threshold),
        interval=(low if math.isfinite(low) else None, high if math.isfinite(high) else None),
        headline=headline.get(part.name),
        n=test.n,
        on_its_side=test.successes,
        void=test.void,
        evidence_for=test.evidence_for,
        evidence_against=test.evidence_against,
        bayes_factor=test.bayes_factor,
    )


def _split(plan: Plan, needed: list[Finding], decision: Decision) -> tuple[str, ...]:
    """Where the pooled headline gives the other answer than the typical sequence."""
    claims = {part.name: part.claim for part in plan.parts}
    wrong = [
        each
        for each in needed
        if each.headline is not None
        and each.decision == decision
        and decision != "undetermined"
        and claims[each.name].holds(each.headline) != (decision == "supported")
    ]
    if decision == "refuted" and len(wrong) < sum(each.decision == "refuted" for each in needed):
        return ()  # another lead is refuted by both
    return tuple(
        f"{each.name}: the typical sequence says {decision}, the headline ({each.headline:.4g}, pooled) does not."
        for each in wrong
    )


def _reading(plan: Plan, verdict: Decision, decisive: Finding, n: int) -> str:
    """The answer in a sentence, with no number in it that the findings do not have."""
    said = f"“{plan.claim.sentence()}”"
    if verdict == "supported":
        leads = len(plan.claim.steps)
        each = f", at each of {leads} leads" if leads > 1 else ""
        return f"{said} holds for the typical sequence ({n} looked at){each}."
    if verdict == "refuted":
        return f"{said} fails at {decisive.name} for the typical sequence ({n} looked at)."
    return f"{said} could not be decided by {counted(n, 'sequence')}."


def _caveats(
    plan: Plan, findings: tuple[Finding, ...], verdict: Decision, stopped: StoppedBy, drawn: str
) -> tuple[str, ...]:
    said = []
    if stopped == "budget":
        said.append("the budget was used up before the test could decide.")
    if verdict == "undetermined" and plan.sequences < plan.fewest:
        said.append(f"{counted(plan.sequences, 'sequence')} cannot decide it: {plan.fewest} are the fewest.")
    if drawn != "sequences":
        said.append(
            f"the samples are {drawn}, which follow each other: they are less independent than the test assumes."
        )
    if void := max(each.void for each in findings):
        within = "it" if void == 1 else "them"
        said.append(f"{counted(void, 'sequence')} could not be scored: too short, or nothing changes in {within}.")
    claims = {part.name: part for part in plan.parts}
    for each in findings:
        if each.role == "control" and each.decision != "supported" and verdict == "supported":
            baseline = BASELINES[claims[each.name].against or ""]
            known = "does better" if each.decision == "refuted" else "may do as well"
            said.append(f"{baseline} {known} on the same frames: what was found may not be the model's own.")
    return tuple(said)
