"""A claim taken apart: what must each be true, what would refute it, and what would explain it away.

- One *necessary* sub-hypothesis for each lead of which the claim speaks. Its null is the threshold: the typical
  sequence lies on the other side of it.
- *Controls*, at the last lead: the model does better there than persistence, and than ridge regression, on the very
  same frames. Their null is that baseline. A claim that holds for them too says little of the model, and the verdict
  says so.

All of them count in the correction for several tests, though the controls decide nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from nvp.errors import FieldError
from resolvers.ace.claims import Claim, number
from resolvers.ace.metrics import BASELINES, METRICS
from resolvers.ace.power import SHARES, Power, fewest, power, share_of
from resolvers.ace.sequential import ALPHA, STOPPING_RULE, Family
from resolvers.ace.words import counted

Role = Literal["necessary", "control"]

# baselines that a model has to beat before what it does is called its own
CONTROLS = ("persistence", "ridge")
SEQUENCES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class SubHypothesis:
    """One question with two answers, about one number per sequence."""

    # "lead 3", "beats ridge": its name within the claim
    name: str
    role: Role
    # what it says, as a claim of one lead
    claim: Claim
    # what is assumed until the evidence says otherwise, and the baseline that it is about
    null: str
    against: str | None
    # what would refute it
    refuted_if: str

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "role": self.role,
            "question": self.claim.sentence(),
            "null": self.null,
            "against": self.against,
            "refuted_if": self.refuted_if,
            "claim": self.claim.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be asked, how it will be decided, and what that takes: written down before anything is measured."""

    claim: Claim
    parts: tuple[SubHypothesis, ...]
    # probability that any part is supported wrongly, and the same for refuted
    alpha: float
    # sequences after which it is given up, and the fewest that can decide anything
    sequences: int
    fewest: int
    # probability with which a true part is to be supported
    goal: float
    # for several shares of sequences on the claim's side
    powers: tuple[Power, ...]
    # for the share that is expected, where somebody says what to expect
    expected: Power | None = None

    def family(self) -> Family:
        """The test, before anything was seen."""
        return Family(
            names=tuple(part.name for part in self.parts),
            necessary=tuple(part.role == "necessary" for part in self.parts),
            alpha=self.alpha,
        )

    @property
    def caveats(self) -> tuple[str, ...]:
        """What stands against it before it begins."""
        said = []
        if self.sequences < self.fewest:
            said.append(f"{counted(self.sequences, 'sequence')} cannot decide it: {self.fewest} are the fewest.")
        if self.expected is not None and self.expected.power < self.goal:
            said.append(
                f"With what is expected it is supported with a probability of {self.expected.power:.2f} only; "
                + (
                    f"{self.expected.needed} sequences would reach {self.goal:g}."
                    if self.expected.needed
                    else "no number of sequences that could be planned changes that."
                )
            )
        return tuple(said)

    def to_json(self) -> dict[str, Any]:
        return {
            "claim": self.claim.to_json(),
            "sentence": self.claim.sentence(),
            "key": self.claim.key(),
            "sub_hypotheses": [part.to_json() for part in self.parts],
            "test": {
                "statistic": "share of sequences on the claim's side",
                "null": "at most half of all sequences are",
                "alpha": self.alpha,
                "tests": len(self.parts),
                "correction": "Bonferroni",
                "decides": self.family().bound,
                "stopping_rule": STOPPING_RULE,
                "sequences": self.sequences,
                "fewest": self.fewest,
            },
            "goal": self.goal,
            "power": [one.to_json() for one in self.powers],
            "expected": None if self.expected is None else self.expected.to_json(),
            "caveats": list(self.caveats),
        }


def expand(claim: Claim) -> tuple[SubHypothesis, ...]:
    """The necessary sub-hypotheses, lead by lead, then the controls."""
    return (*(_necessary(claim, lead) for lead in claim.steps), *_controls(claim))


def plan(
    claim: Claim,
    *,
    alpha: float = ALPHA,
    sequences: int = SEQUENCES,
    goal: float = 0.8,
    expect: tuple[float, float] | None = None,
) -> Plan:
    """What testing the claim takes; `expect` is mean and standard deviation over sequences that somebody foresees."""
    if not 0 < alpha < 0.5:
        raise FieldError("BAD_CONFIG", f"expected 0 < alpha < 0.5, got {alpha}.", next_step="Use 0.05.")
    if not 0 < goal < 1:
        raise FieldError("BAD_CONFIG", f"expected a power in 0 … 1, got {goal}.", next_step="Use 0.8.")
    parts = expand(claim)
    share = None if expect is None else _share(claim, *expect)

    def powered(at: float) -> Power:
        return power(at, sequences=sequences, goal=goal, m=len(parts), alpha=alpha)

    return Plan(
        claim=claim,
        parts=parts,
        alpha=alpha,
        sequences=sequences,
        fewest=fewest(m=len(parts), alpha=alpha),
        goal=goal,
        powers=tuple(powered(at) for at in SHARES),
        expected=None if share is None else powered(share),
    )


def names(parts: Sequence[SubHypothesis], role: Role) -> tuple[str, ...]:
    """Those of a role."""
    return tuple(part.name for part in parts if part.role == role)


def _share(claim: Claim, expected: float, spread: float) -> float:
    return share_of(expected, threshold=claim.threshold, spread=spread, above=claim.comparator in (">", ">="))


def _at(claim: Claim, lead: int) -> Claim:
    return replace(claim, horizon=lead, leads="last" if lead > 1 else "every")


def _necessary(claim: Claim, lead: int) -> SubHypothesis:
    title = METRICS[claim.metric].title
    value = title if claim.versus is None else f"{title} less that of {BASELINES[claim.versus]}"
    other = {">": "at most", ">=": "below", "<": "at least", "<=": "above"}[claim.comparator]
    return SubHypothesis(
        name=f"lead {lead}",
        role="necessary",
        claim=_at(claim, lead),
        null=f"at lead {lead} the {value} of the typical sequence is {other} {number(claim.threshold)}",
        against=claim.versus,
        refuted_if=f"more than half of the sequences have a {value} {other} {number(claim.threshold)} at lead {lead}",
    )


def _controls(claim: Claim) -> list[SubHypothesis]:
    """Not where the claim says as much itself, nor of a baseline against itself."""
    lead, metric = claim.steps[-1], METRICS[claim.metric]
    found = []
    for baseline in CONTROLS:
        known = metric.persistence if baseline == "persistence" and claim.perturbation is None else None
        implied = (
            known is not None and claim.versus is None and claim.comparator in (">", ">=") and claim.threshold >= known
        )
        if baseline in (claim.model, claim.versus) or implied:
            continue
        found.append(
            SubHypothesis(
                name=f"beats {BASELINES[baseline]}",
                role="control",
                claim=replace(
                    _at(claim, lead), versus=baseline, comparator=">" if metric.higher else "<", threshold=0.0
                ),
                null=f"at lead {lead} {BASELINES[baseline]} does as well in {metric.title} on the typical sequence",
                against=baseline,
                refuted_if=f"{BASELINES[baseline]} does better on more than half of the sequences at lead {lead}",
            )
        )
    return found
