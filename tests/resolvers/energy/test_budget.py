"""A budget is read, checked before work, charged by it, and gone at its end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.errors import GraphError
from resolvers.energy.budget import UNITS, Account, Budget, BudgetGone, parse
from resolvers.energy.spent import Ledger


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [("500J", 500, "J"), ("2kJ", 2000, "J"), ("1.5 MJ", 1.5e6, "J"), (" 90s ", 90, "s"), ("5min", 300, "s"),
     ("2h", 7200, "s"), ("1e3J", 1000, "J")],
)  # fmt: skip
def test_what_is_read(text: str, amount: float, unit: str) -> None:
    budget = parse(text)
    assert (budget.amount, budget.unit) == (amount, unit)


@pytest.mark.parametrize(
    "text",
    ["", "500", "J", "-1J", "0J", "0.0s", "nanJ", "infJ", "1e400J", "13ks", "5 Wh", "1,5J", "٣J", "1J\n2J", None],
)
def test_what_is_no_budget_is_one_line(text: str) -> None:
    with pytest.raises(GraphError) as caught:
        parse(text)
    assert caught.value.code == "BAD_BUDGET"
    assert "\n" not in str(caught.value)


@given(st.floats(1e-3, 1e9), st.sampled_from(sorted(UNITS)))
def test_every_unit_reads_back(amount: float, unit: str) -> None:
    many, base = UNITS[unit]
    budget = parse(f"{amount!r}{unit}")
    assert budget == Budget(amount * many, base)
    assert parse(str(budget)).amount == pytest.approx(budget.amount, rel=1e-5)


def test_joules_of_two_kinds_have_an_account_each() -> None:
    account = Account(parse("10J"))
    account.charge(Ledger(measured=6.0))
    # of one run, too, whose attempts were known differently
    account.charge(Ledger(measured=1.0, estimated=7.0))
    assert (account.spent, account.left, account.gone) == (7.0, 3.0, False)
    with pytest.raises(BudgetGone, match="expected to spend at most 10J, got 11 J"):
        account.charge(Ledger(estimated=4.0))
    assert account.gone
    assert Account(parse("10J"), [Ledger(measured=3.0), Ledger(estimated=11.0)]).left == 0.0


def test_a_budget_that_is_used_up_to_the_last_is_gone() -> None:
    account = Account(parse("2s"))
    with pytest.raises(BudgetGone):
        account.charge(Ledger(seconds=2.0, unmetered=1))


def test_joules_that_nobody_knows_end_a_budget_of_joules() -> None:
    unknown = Ledger(estimated=1.0, unmetered=1, seconds=1.0)
    with pytest.raises(BudgetGone, match="no meter saw") as caught:
        Account(parse("10J")).charge(unknown)
    assert caught.value.code == "ENERGY_UNKNOWN"
    again = Account(parse("10J"), [unknown])
    assert (again.unknown, again.left, again.gone) == (True, 0.0, True)
    Account(parse("10s")).charge(unknown)


@pytest.mark.parametrize(
    ("joules", "seconds", "error", "budget", "fits"),
    [(20.0, 1.0, 2.0, "10J", True), (20.1, 1.0, 2.0, "10J", False), (None, 1.0, 2.0, "10J", True),
     (1.0, 30.0, 2.0, "15s", True), (1.0, 30.1, 2.0, "15s", False)],
)  # fmt: skip
def test_work_that_cannot_fit_is_refused_before_it_begins(
    joules: float | None, seconds: float, error: float, budget: str, fits: bool
) -> None:
    cost = SimpleNamespace(joules=joules, seconds=seconds, error=error)
    account = Account(parse(budget))
    if fits:
        account.check(cost)
    else:
        with pytest.raises(BudgetGone, match="to be left"):
            account.check(cost)
    assert account.spent == 0.0


def test_nothing_fits_into_what_is_gone() -> None:
    account = Account(parse("1J"), [Ledger(estimated=1.0)])
    with pytest.raises(BudgetGone):
        account.check(SimpleNamespace(joules=None, seconds=0.0, error=1.0))


def test_seconds_go_by_since_it_all_began() -> None:
    account = Account(parse("90s"), [Ledger(estimated=5.0, seconds=1e3)], elapsed=60.0)
    assert account.left == pytest.approx(30.0, abs=1.0), "what is done side by side does not count twice"
    assert account.after(Ledger(seconds=40.0)).left == pytest.approx(30.0, abs=1.0)
    late = Account(parse("90s"), elapsed=91.0)
    assert late.gone
    with pytest.raises(BudgetGone):
        late.charge(Ledger())
    assert Account(parse("10J"), elapsed=1e6).left == 10.0
