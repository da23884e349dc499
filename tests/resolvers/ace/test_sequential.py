"""The sequential test: its evidence, its error rates at the boundary, and when it stops."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from resolvers.ace.sequential import Family, SignTest, evidence, follow, median_interval

NULLS, SEQUENCES, LEADS = 400, 60, 4


@pytest.mark.parametrize(("s", "n"), [(0, 0), (0, 1), (1, 1), (3, 5), (7, 7), (12, 40)])
def test_evidence_is_the_wealth_of_the_mixed_bet(s: int, n: int) -> None:
    mixed = 2 * quad(lambda p: (2 * p) ** s * (2 * (1 - p)) ** (n - s), 0.5, 1)[0]
    assert evidence(s, n) == pytest.approx(mixed, rel=1e-9)


@pytest.mark.parametrize("share", [0.5, 0.3])
def test_evidence_does_not_grow_where_the_null_holds(share: float) -> None:
    """The mean of the next evidence is at most the present one, from every count that can be reached."""
    for n in range(30):
        for s in range(n + 1):
            after = share * evidence(s + 1, n + 1) + (1 - share) * evidence(s, n + 1)
            assert after <= evidence(s, n) * (1 + 1e-12)


def test_ville_holds_exactly_over_all_paths() -> None:
    """Of the 2^14 equally likely paths of a fair coin at most α ever reach 1/α."""
    for alpha in (0.05, 0.2):
        reached = sum(
            any(evidence(sum(path[:n]), n) >= 1 / alpha for n in range(1, 15)) for path in product((0, 1), repeat=14)
        )
        assert 0 < reached / 2**14 <= alpha


def resampled_nulls(rng: np.random.Generator) -> Any:
    """Outcomes of LEADS sub-hypotheses on SEQUENCES sequences, NULLS times, the truth exactly at the boundary.

    Fidelities of 24 measured sequences, skewed as fidelities are, leads that follow each other; shifted so that the
    threshold is the median of what is drawn from.
    """
    measured = 1 - rng.gamma(2.0, 0.1, (24, 1)) * np.linspace(1, 1.5, LEADS) - rng.normal(0, 0.02, (24, LEADS))
    at_boundary = measured - np.median(measured, axis=0) + 0.8
    drawn = at_boundary[rng.integers(0, 24, (NULLS, SEQUENCES))]
    return drawn > 0.8


def rate(found: list[bool]) -> float:
    return sum(found) / NULLS


def looked_at(outcomes: Any) -> Family:
    names = tuple(f"lead {lead}" for lead in range(1, LEADS + 1))
    family = Family(names=names, necessary=(False,) * (LEADS - 1) + (True,))
    # to the end: no look is left out
    for row in outcomes:
        family = family.seen({name: bool(one) for name, one in zip(names, row, strict=True)})
    return family


def test_nulls_at_the_boundary_are_supported_no_more_often_than_they_may() -> None:
    outcomes = resampled_nulls(np.random.default_rng(6))
    families = [looked_at(one) for one in outcomes]
    allowed = 0.05 + 2 * math.sqrt(0.05 * 0.95 / NULLS)
    for decision in ("supported", "refuted"):
        assert rate([family.decision == decision for family in families]) <= allowed
        # any of them, at any look
        assert rate([decision in family.decisions for family in families]) <= allowed
    # one who looks after each sequence with a test that is made for one look errs far more often
    assert rate([rejected_at_some_look(one[:, -1]) for one in outcomes]) > 2 * allowed


CRITICAL = [
    next(s for s in range(n + 2) if sum(math.comb(n, k) for k in range(s, n + 1)) / 2**n <= 0.05)
    for n in range(SEQUENCES + 1)
]


def rejected_at_some_look(outcomes: Any) -> bool:
    """By the one-sided sign test at 5 %."""
    return any(seen >= CRITICAL[n] for n, seen in enumerate(np.cumsum(outcomes), start=1))


def test_each_of_several_needs_more() -> None:
    one, six = (Family(names=tuple("abcdef"[:m]), necessary=(True,) * m) for m in (1, 6))
    assert one.bound == pytest.approx(20)
    assert six.bound == pytest.approx(120)
    seven = [dict.fromkeys("abcdef", True)] * 7
    assert follow(one, seven).decision == "supported"
    assert follow(six, seven).decision == "undetermined"
    assert follow(six, seven * 2).n == 10


def sure(**outcomes: bool | None) -> dict[str, bool | None]:
    return outcomes


FAMILY = Family(names=("a", "b", "c"), necessary=(True, True, False))


def test_it_stops_where_one_is_refuted() -> None:
    found = follow(FAMILY, [sure(a=True, b=False, c=True)] * 40)
    assert found.decision == "refuted"
    assert found.decisions[1] == "refuted"
    assert found.n == 9  # 2⁹ … / 10 ≥ 60
    assert found.stopped


def test_all_that_is_necessary_has_to_be_supported() -> None:
    assert follow(FAMILY, [sure(a=True, b=True, c=False)] * 40).decision == "supported"
    half = follow(FAMILY, [sure(a=True, b=bool(i % 2), c=True) for i in range(40)])
    assert half.decision == "undetermined"
    assert half.decisions == ("supported", "undetermined", "supported")
    assert half.n == 40


def test_what_is_decided_stays_so() -> None:
    family = follow(FAMILY, [sure(a=True, b=bool(i % 2), c=True) for i in range(20)])
    assert family.decisions[0] == "supported"
    for _ in range(60):
        family = family.seen(sure(a=False, b=None, c=True))
    assert family.decisions[0] == "supported"


def test_void_sequences_say_nothing() -> None:
    test = SignTest().seen(None).seen(True)
    assert (test.n, test.void, test.evidence_for) == (1, 1, evidence(1, 1))


@given(outcomes=st.lists(st.booleans(), max_size=30))
def test_for_and_against_are_mirror_images(outcomes: list[bool]) -> None:
    one, other = SignTest(), SignTest()
    for outcome in outcomes:
        one, other = one.seen(outcome), other.seen(not outcome)
    assert (one.evidence_for, one.evidence_against) == (other.evidence_against, other.evidence_for)
    assert one.bayes_factor == pytest.approx(1 / other.bayes_factor)
    assert (one.decision(20) == "supported") == (other.decision(20) == "refuted")


def test_the_interval_of_the_median_is_what_the_test_leaves() -> None:
    values = [float(value) for value in np.random.default_rng(0).normal(size=30)]
    low, high = median_interval(values, bound=40)
    for theta, kept in ((low - 1e-9, False), (low + 1e-9, True), (high - 1e-9, True), (high + 1e-9, False)):
        above = sum(value > theta for value in values)
        assert (max(evidence(above, 30), evidence(30 - above, 30)) < 40) is kept
    assert median_interval(values[:5], bound=20) == (-math.inf, math.inf)
    assert median_interval([], bound=20) == (-math.inf, math.inf)


def test_the_interval_holds_the_median_whenever_one_stops() -> None:
    rng, missed = np.random.default_rng(1), 0
    for _ in range(200):
        values = list(rng.exponential(size=40))
        bounds = [median_interval(values[:n], bound=20) for n in range(1, 41)]
        missed += any(not low <= math.log(2) <= high for low, high in bounds)
    assert missed / 200 <= 0.1 + 2 * math.sqrt(0.09 / 200)


@pytest.mark.parametrize(
    "wrong", [{"necessary": (False,)}, {"alpha": 0.0}, {"alpha": 0.5}, {"necessary": (True, False)}]
)
def test_families_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Family(**{"names": ("a",), "necessary": (True,), **wrong})
