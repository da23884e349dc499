"""What a gate learns of itself: by hand, and in any order."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvp.coordinator.experience import SMALL, Experience
from nvp.errors import FieldError

BENEFITS = st.lists(st.integers(-20, 20).map(lambda n: n / 8), max_size=12)


def seen(benefits: list[float]) -> Experience:
    return list(itertools.accumulate(benefits, Experience.after, initial=Experience()))[-1]


def test_counts_and_quotients_by_hand() -> None:
    found = seen([0.5, -0.25, 0.0, 1.5])
    assert found.mu == pytest.approx(4 / 2.0)
    assert found.good_bad_ratio == pytest.approx((2 + SMALL) / (1 + SMALL))
    assert Experience().mu is None
    assert Experience().good_bad_ratio == 1


def test_a_promise_counts_for_as_many_openings_as_its_prior() -> None:
    assert Experience().expected(0.7) == 0.7
    assert seen([0.1, 0.1]).expected(0.7, prior=2.0) == pytest.approx(0.4)
    assert seen([-0.5] * 2000).expected(0.7, prior=2.0) == pytest.approx(-0.5, abs=2e-3)
    # naive: 1/μ̂ alone takes what was lost for nothing
    losing = seen([0.2, -0.6] * 500)
    assert losing.mu is not None
    assert 1 / losing.mu == pytest.approx(0.1)
    assert losing.expected(0.0) < -0.1


@settings(deadline=None, max_examples=60)
@given(BENEFITS, st.floats(-1, 1))
def test_the_order_of_openings_does_not_matter_and_all_are_counted(benefits: list[float], promised: float) -> None:
    found = seen(benefits)
    assert found == seen(benefits[::-1])
    assert found.gained - found.lost == sum(benefits)
    assert found.good + found.bad + benefits.count(0.0) == found.openings == len(benefits)
    low, high = min([promised, *benefits]), max([promised, *benefits])
    assert low - 1e-12 <= found.expected(promised) <= high + 1e-12


def test_what_is_no_benefit_is_refused() -> None:
    with pytest.raises(FieldError, match="finite benefit, got nan"):
        Experience().after(math.nan)
    with pytest.raises(FieldError, match="prior > 0"):
        Experience().expected(0.1, prior=0.0)
