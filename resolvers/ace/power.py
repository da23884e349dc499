"""Power: how many sequences a claim will take, before any of them is paid for.

The share p of sequences on the claim's side says how far the truth lies from the threshold; for values spread like a
Gaussian of mean μ and deviation σ about a threshold θ it is Φ((μ − θ)/σ). The probability that the evidence reaches its
bound within n sequences follows exactly from counts alone, by adding up the paths that have not yet reached it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from jaxtyping import Float

from nvp.errors import FieldError
from resolvers.ace.sequential import ALPHA

SHARES = (0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
# more than these are never planned: it would be cheaper to ask another question
MOST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What a share p on the claim's side leads to, for one sub-hypothesis."""

    share: float
    # probability that it is supported within the sequences that there are
    power: float
    # sequences looked at on average
    expected_sequences: float
    # the fewest sequences by which it is supported with the probability that was asked for; None above `MOST`
    needed: int | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def power(share: float, *, sequences: int, goal: float = 0.8, m: int = 1, alpha: float = ALPHA) -> Power:
    """Exact, for evidence of m/α: what each of m sub-hypotheses needs."""
    if not 0 <= share <= 1:
        raise FieldError("BAD_CONFIG", f"expected a share in 0 … 1, got {share}.", next_step="Use 0.9.")
    if not 1 <= sequences <= MOST:
        raise FieldError("BAD_CONFIG", f"expected 1 … {MOST} sequences, got {sequences}.", next_step="Use 40.")
    crossed = _crossed(share, m / alpha)
    there = np.flatnonzero(crossed >= goal)
    return Power(
        share=share,
        power=float(crossed[sequences]),
        # the n-th is looked at where none before it decided
        expected_sequences=float((1 - crossed[:sequences]).sum()),
        needed=int(there[0]) if there.size else None,
    )


def fewest(*, m: int = 1, alpha: float = ALPHA) -> int:
    """Sequences without which nothing can be decided, though all be on one side."""
    return next(n for n, least in enumerate(bounds(m / alpha)) if least <= n)


def share_of(expected: float, *, threshold: float, spread: float, above: bool) -> float:
    """Φ((μ − θ)/σ), or its complement: the share on the claim's side where values are spread like a Gaussian."""
    if not (0 < spread < math.inf and math.isfinite(expected)):
        raise FieldError(
            "BAD_CONFIG",
            f"expected a finite value and a spread above 0, got {expected} and {spread}.",
            next_step="Use mean and standard deviation over sequences.",
        )
    below = NormalDist(expected, spread).cdf(threshold)
    return 1 - below if above else below


@lru_cache(maxsize=64)
def bounds(bound: float) -> tuple[int, ...]:
    """For n = 0 … MOST the fewest s with e(s, n) ≥ bound; n + 1 where there is none.

    A failure makes less of the evidence and a success more of it: from n to n + 1 the fewest grow by 0 or 1. The sums
    T = Σ_{k ≤ s} C(n + 1, k) go along in whole numbers.
    """
    least = [1]
    s, total, choose = 1, 2, 1  # n = 0, s = n + 1: T = 2, C(n, s) = 0 is never asked for
    for n in range(1, MOST + 1):
        # T of n + 1 from T of n, at the same s; C(n, s) is 1 where s = n
        total = 2 * total - math.comb(n, s)
        choose = math.comb(n, s)
        if total < bound * (n + 1) * choose:
            s += 1
            total += math.comb(n + 1, s)
        least.append(s)
    return tuple(least)


@lru_cache(maxsize=256)
def _crossed(share: float, bound: float) -> Float[np.ndarray, " n"]:
    """Probability that the evidence has reached the bound by n = 0 … MOST."""
    crossed = np.zeros(MOST + 1)
    # mass of the paths that have not, by successes
    alive = np.zeros(MOST + 2)
    alive[0] = 1.0
    for n, least in enumerate(bounds(bound)):
        if n:
            alive[1 : n + 1] = share * alive[:n] + (1 - share) * alive[1 : n + 1]
            alive[0] *= 1 - share
        crossed[n] = (crossed[n - 1] if n else 0.0) + alive[least:].sum()
        alive[least:] = 0.0
    return np.minimum(crossed, 1.0)
