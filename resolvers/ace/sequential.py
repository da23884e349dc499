"""Is the claim true of the typical sequence? A test that may be looked at after every sequence.

Each sequence lies on the claim's side or does not. Let p be the share of all sequences on its side, out of which those
seen were drawn independently. Of n seen, s lie on its side; evidence for p > ½ is the wealth of a gambler who begins
with 1 and spreads it evenly over all p in (½, 1):

    e(s, n) = 2 ∫_½^1 (2p)^s (2(1 − p))^(n − s) dp = Σ_{k ≤ s} C(n + 1, k) / ((n + 1) C(n, s))

Where p ≤ ½ it is a non-negative supermartingale, so that P(e ever reaches 1/α) ≤ α (Ville's inequality): exact for any
number of looks, without any assumption on how the values are spread. Evidence against is e(n − s, n). Their quotient is
the Bayes factor of p > ½ against p < ½ under a uniform prior.

Of m sub-hypotheses each needs evidence of m/α (Bonferroni), whatever their dependence: the probability that any of them
is ever supported wrongly is then at most α. The same for refuting, on its own. The interval of a median has what the
test leaves: a sub-hypothesis is supported when its whole interval comes to lie on the claim's side.

The rule: look after each sequence; stop where a necessary sub-hypothesis is refuted, or all are supported, or the
sequences (or the budget) are used up. What is once decided stays so.

References: Ville, Étude critique de la notion de collectif (1939); Howard & Ramdas, "Sequential estimation of
quantiles", Bernoulli 28 (2022); Ramdas et al., "Game-theoretic statistics and safe anytime-valid inference",
Statistical Science 38 (2023).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

Decision = Literal["supported", "refuted", "undetermined"]

ALPHA = 0.05
STOPPING_RULE = (
    "Look after each sequence; stop where a necessary sub-hypothesis is refuted, where all of them are supported, or "
    "where the sequences or the budget are used up."
)


@lru_cache(maxsize=1 << 14)
def evidence(successes: int, n: int) -> float:
    """e(s, n): how much s of n on one side multiply the stake of who bets that most are; 1 where nothing was seen."""
    below = sum(math.comb(n + 1, k) for k in range(successes + 1))
    # a quotient of whole numbers: exact to the last digit, however large they are
    return below / ((n + 1) * math.comb(n, successes))


@dataclass(frozen=True, slots=True, kw_only=True)
class SignTest:
    """What was seen of one sub-hypothesis."""

    successes: int = 0
    failures: int = 0
    # sequences that cannot be scored: nothing changes in them
    void: int = 0

    @property
    def n(self) -> int:
        """Sequences that count."""
        return self.successes + self.failures

    @property
    def evidence_for(self) -> float:
        """That most sequences are on the claim's side."""
        return evidence(self.successes, self.n)

    @property
    def evidence_against(self) -> float:
        """That most are not."""
        return evidence(self.failures, self.n)

    @property
    def bayes_factor(self) -> float:
        """Of p > ½ against p < ½, each with a uniform prior."""
        return self.evidence_for / self.evidence_against

    def seen(self, outcome: bool | None) -> SignTest:
        """After one more sequence: on the claim's side, or not, or void."""
        if outcome is None:
            return replace(self, void=self.void + 1)
        return replace(self, successes=self.successes + outcome, failures=self.failures + (not outcome))

    def decision(self, bound: float) -> Decision:
        """By evidence of `bound`; a bound above 1 cannot be reached both ways at once."""
        if self.evidence_for >= bound:
            return "supported"
        return "refuted" if self.evidence_against >= bound else "undetermined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """All sub-hypotheses of a claim, tested on the same sequences."""

    names: tuple[str, ...]
    # those that must all hold
    necessary: tuple[bool, ...]
    alpha: float = ALPHA
    tests: tuple[SignTest, ...] = ()
    decisions: tuple[Decision, ...] = ()

    def __post_init__(self) -> None:
        if not any(self.necessary) or len(self.necessary) != len(self.names):
            raise ValueError(f"expected a necessary one among {self.names}")
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"expected 0 < alpha < 1/2, got {self.alpha}")
        if not self.tests:
            object.__setattr__(self, "tests", (SignTest(),) * len(self.names))
            object.__setattr__(self, "decisions", ("undetermined",) * len(self.names))

    def seen(self, outcomes: Mapping[str, bool | None]) -> Family:
        """After one more sequence, which says something of every sub-hypothesis."""
        tests = tuple(test.seen(outcomes[name]) for name, test in zip(self.names, self.tests, strict=True))
        decisions = tuple(
            before if before != "undetermined" else test.decision(self.bound)
            for before, test in zip(self.decisions, tests, strict=True)
        )
        return replace(self, tests=tests, decisions=decisions)

    @property
    def bound(self) -> float:
        """The evidence that decides."""
        return len(self.names) / self.alpha

    @property
    def decision(self) -> Decision:
        """Of the claim as a whole."""
        needed = [decision for decision, need in zip(self.decisions, self.necessary, strict=True) if need]
        if "refuted" in needed:
            return "refuted"
        return "supported" if set(needed) == {"supported"} else "undetermined"

    @property
    def stopped(self) -> bool:
        """Whether the rule says that no more sequences are wanted."""
        return self.decision != "undetermined"

    @property
    def n(self) -> int:
        """Sequences that were looked at."""
        return max(test.n + test.void for test in self.tests)


def follow(family: Family, outcomes: Iterable[Mapping[str, bool | None]]) -> Family:
    """Look at sequences one by one until the rule says stop or there are no more."""
    for one in outcomes:
        if family.stopped:
            break
        family = family.seen(one)
    return family


def median_interval(values: Sequence[float], *, bound: float) -> tuple[float, float]:
    """Medians that evidence of `bound` leaves either way: order statistics, infinite where too few were seen.

    Each end holds with probability 1 − 1/bound whenever one stops to look.
    """
    ordered, n = sorted(values), len(values)
    # the fewest on one side that are evidence enough
    least = next((s for s in range(n // 2, n + 1) if evidence(s, n) >= bound), None)
    return (-math.inf, math.inf) if least is None else (ordered[n - least], ordered[least - 1])
