"""What is worth most per joule comes first, what does not fit is left out, and information is what Bayes says it is."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.ace.sequential import evidence
from resolvers.energy.budget import Account, Budget
from resolvers.energy.spent import Ledger
from resolvers.services.ace.scheduling import Work, affordable, entropy, information, order, worth


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


def looks(name: str, sequences: int, *, joules: float, needs: tuple[str, ...] = ()) -> Work:
    made = work(name, bits=0.5, joules=joules, needs=needs)
    return replace(made, sequences=tuple(f"{name} {at}" for at in range(sequences)))


def test_half_a_verdict_is_not_paid_for_and_the_budget_that_would_do_is_named() -> None:
    train = replace(work("train", bits=0, joules=300), kind="shadows")
    vote = replace(work("vote", bits=1, joules=83, needs=("train",)), kind="shadows")
    first, more = looks("look", 8, joules=55), looks("look further", 10, joules=60)
    works = [first, more, train, vote]

    def left_out(amount: float, *, missing: int = 7, spent: float = 0.0) -> dict[str, str | None]:
        account = Account(Budget(amount, "J"), [Ledger(estimated=spent)])
        found = affordable(works, order(works, account), account, missing=missing)
        return {one.work.name: one.left_out for one in found}

    assert set(left_out(500).values()) == {None}
    # what is not needed may be left out: eight sequences are enough
    assert [name for name, why in left_out(450).items() if why] == ["look further"]
    poor = left_out(430)
    assert set(poor) == {"train", "vote", "look", "look further"}
    # 1.05 × (55 + 300 + 83)
    assert set(poor.values()) == {"a verdict takes about 438 J more and 430 J are left of 430J; --budget 460J would do"}
    assert "--budget 480J would do" in (left_out(440, spent=16)["train"] or "")
    # where more sequences are needed, those count too: 1.05 × 498
    assert "--budget 530J would do" in (left_out(450, missing=9)["train"] or "")
    # an ensemble that has spoken is not needed again
    again = order([first, more], account := Account(Budget(80.0, "J")))
    assert [one.left_out for one in affordable([first, more], again, account, missing=0)].count(None) == 1


def test_what_it_takes_is_what_it_needs_as_well() -> None:
    simulate = work("simulate", bits=0, joules=40)
    new = looks("look", 9, joules=60, needs=("simulate",))
    placed = order([simulate, new], account := Account(Budget(90.0, "J")))
    (reason,) = {one.left_out for one in affordable([simulate, new], placed, account, missing=9)}
    assert reason == "a verdict takes about 100 J more and 90 J are left of 90J; --budget 110J would do"


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
