"""What is worth most per joule comes first, what does not fit is left out, and information is what Bayes says it is."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.ace.sequential import evidence
from resolvers.energy.budget import Account, Budget
from resolvers.services.ace.scheduling import Work, entropy, information, order, worth


def work(name: str, *, bits: float, joules: float | None, needs: tuple[str, ...] = ()) -> Work:
    return Work(
        name=name,
        kind="evaluation",
        capability="batch",
        config={},
        rng_seed=0,
        inputs=(),
        needs=needs,
        information=bits,
        seconds=1.0,
        joules=joules,
    )


def placed(*works: Work, amount: float = 1000.0) -> list[tuple[str, bool]]:
    found = order(works, Account(Budget(amount, "J")))
    return [(one.work.name, one.left_out is None) for one in found]


def test_the_most_bits_per_joule_come_first() -> None:
    assert placed(work("dear", bits=1, joules=100), work("cheap", bits=0.5, joules=10)) == [
        ("cheap", True),
        ("dear", True),
    ]


def test_what_others_need_is_done_before_them_and_paid_with_what_they_bring() -> None:
    train, vote = work("train", bits=0, joules=300), work("vote", bits=1, joules=10, needs=("train",))
    look = work("look", bits=0.5, joules=100)
    assert placed(vote, train, look) == [("look", True), ("train", True), ("vote", True)]
    assert placed(vote, replace(train, joules=0.0), look)[0] == ("train", True), "members that are there cost nothing"
    assert worth([train, vote]) == pytest.approx(1 / 310)


def test_what_does_not_fit_is_left_out_with_what_needs_it() -> None:
    train, vote = work("train", bits=0, joules=300), work("vote", bits=1, joules=10, needs=("train",))
    look = work("look", bits=0.5, joules=100)
    assert placed(look, train, vote, amount=409) == [("look", True), ("train", False), ("vote", False)]
    assert placed(look, train, vote, amount=410) == [("look", True), ("train", True), ("vote", True)]
    # a guess is given a chance, unless even the least it may take is too much
    guessed = replace(look, error=3.0)
    assert placed(guessed, amount=40) == [("look", True)]
    assert placed(guessed, amount=30) == [("look", False)]


def test_seconds_decide_where_nobody_knows_joules() -> None:
    assert placed(work("a", bits=0.1, joules=None), work("b", bits=0.2, joules=None))[0] == ("b", True)


def test_one_sequence_says_what_a_coin_that_is_no_coin_says() -> None:
    # beyond one half the share is 3/4 on average: H(1/2) − H(3/4)
    assert information(0.5, 1) == pytest.approx(1 - entropy(0.75))
    assert information(0.5, 0) == 0.0


@given(st.floats(0.01, 0.99), st.integers(0, 30))
def test_more_sequences_say_more_but_never_all(credence: float, n: int) -> None:
    now, later = information(credence, n), information(credence, n + 1)
    assert now - 1e-9 <= later <= entropy(credence) + 1e-9
    assert information(1 - credence, n) == pytest.approx(now, abs=1e-9)


@given(st.integers(0, 20))
def test_the_outcomes_of_a_true_claim_are_a_distribution(n: int) -> None:
    whole = sum(math.comb(n, s) * evidence(s, n) / 2**n for s in range(n + 1))
    assert whole == pytest.approx(1.0)
