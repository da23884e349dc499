"""What work may spend: joules or seconds, checked before it begins, charged as it goes, stopped at the end.

    500J   2kJ   1.5MJ   90s   5min   2h

A budget in joules has an account for what was measured and one for what was estimated, for the two are never added; it
is gone as soon as either has reached it, or there is work whose joules nobody knows.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from graph.errors import GraphError
from resolvers.energy.spent import Ledger

Unit = Literal["J", "s"]

UNITS: dict[str, tuple[float, Unit]] = {
    "J": (1.0, "J"),
    "kJ": (1e3, "J"),
    "MJ": (1e6, "J"),
    "s": (1.0, "s"),
    "min": (60.0, "s"),
    "h": (3600.0, "s"),
}
"""By name: how many of which unit it is."""

_WRITTEN = re.compile(rf"([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)\s*({'|'.join(UNITS)})")


class BudgetGone(GraphError):
    """Nothing is left to spend: stop, and say what there is."""

    exit_code = 1


class Expected(Protocol):
    """What work is expected to take: `resolvers.energy.costs.Cost`."""

    @property
    def seconds(self) -> float: ...
    @property
    def joules(self) -> float | None: ...
    # a factor: it will be between estimate / error and estimate · error, two times in three
    @property
    def error(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Budget:
    """So much, and no more."""

    amount: float
    unit: Unit

    def __str__(self) -> str:
        return f"{self.amount:g}{self.unit}"


def parse(text: str) -> Budget:
    """The budget in a text such as 500J, 2kJ or 90s; raises GraphError for another, and for one of nothing."""
    match = _WRITTEN.fullmatch(text.strip()) if isinstance(text, str) else None
    amount = float(match[1]) * UNITS[match[2]][0] if match else math.nan
    if match is None or not 0 < amount < math.inf:
        raise GraphError(
            "BAD_BUDGET",
            f"expected a budget above 0 such as 500J, 2kJ or 90s, got {str(text)[:40]!r}.",
            next_step=f"Units are {', '.join(UNITS)}.",
        )
    return Budget(amount, UNITS[match[2]][1])


class Account:
    """A budget and what was taken from it so far."""

    __slots__ = ("_began", "budget", "taken")

    def __init__(self, budget: Budget, spent: Iterable[Ledger] = (), *, elapsed: float | None = None) -> None:
        """`spent`: what an earlier attempt had already charged; `elapsed`: seconds since it all began.

        Seconds go by whatever is done with them; without `elapsed` only those count that are charged.
        """
        self.budget = budget
        self.taken = sum(spent, Ledger())
        self._began = None if elapsed is None else time.monotonic() - elapsed

    @property
    def spent(self) -> float:
        """In the budget's unit; of joules, the larger of what was measured and what was estimated."""
        if self.budget.unit == "s":
            return self.taken.seconds if self._began is None else time.monotonic() - self._began
        return max(self.taken.measured or 0.0, self.taken.estimated or 0.0)

    @property
    def left(self) -> float:
        """What may still be spent; never below 0, and 0 where nobody knows what was spent."""
        return 0.0 if self.unknown else max(self.budget.amount - self.spent, 0.0)

    @property
    def unknown(self) -> bool:
        """Whether nobody knows what was spent of joules."""
        return self.budget.unit == "J" and self.taken.unmetered > 0

    @property
    def gone(self) -> bool:
        """Whether nothing is left."""
        return self.left == 0.0

    def after(self, more: Ledger) -> Account:
        """As it would be once this was taken too."""
        elapsed = None if self._began is None else time.monotonic() - self._began
        return Account(self.budget, (self.taken, more), elapsed=elapsed)

    def check(self, cost: Expected) -> None:
        """Raise BudgetGone where work would not fit into what is left, even if it takes as little as it may."""
        expected = cost.seconds if self.budget.unit == "s" else cost.joules
        if self.gone or (expected is not None and expected / cost.error > self.left):
            about = "anything" if expected is None else f"about {expected:.3g} {self.budget.unit}"
            raise BudgetGone(
                "BUDGET_GONE",
                f"expected {about} to be left of {self.budget}, got {self.left:.3g} {self.budget.unit}.",
                next_step="Allow more, or ask for less.",
            )

    def charge(self, spent: Ledger) -> None:
        """Take what was spent; raises BudgetGone once all is, and once nobody knows the joules of some of it."""
        self.taken += spent
        if self.unknown:
            raise BudgetGone(
                "ENERGY_UNKNOWN",
                f"expected joules to charge to {self.budget}, got work that no meter saw.",
                next_step="Give the budget in seconds, such as 90s.",
            )
        if self.gone:
            raise BudgetGone(
                "BUDGET_GONE",
                f"expected to spend at most {self.budget}, got {self.spent:.3g} {self.budget.unit}.",
                next_step="Allow more, or ask for less.",
            )
