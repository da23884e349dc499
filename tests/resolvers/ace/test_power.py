"""Power: what the counts alone say of a test to come."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nvp.errors import FieldError
from resolvers.ace.power import bounds, fewest, power, share_of
from resolvers.ace.sequential import SignTest, evidence


@pytest.mark.parametrize("bound", [20.0, 73.0, 240.0])
def test_bounds_are_the_fewest_that_are_evidence_enough(bound: float) -> None:
    for n in (0, 1, 5, 7, 8, 13, 30, 90):
        brute = next((s for s in range(n + 1) if evidence(s, n) >= bound), n + 1)
        assert bounds(bound)[n] == brute


@pytest.mark.parametrize(("share", "m"), [(0.8, 1), (0.9, 6)])
def test_power_is_what_simulated_tests_reach(share: float, m: int) -> None:
    rng, runs, sequences = np.random.default_rng(2), 600, 25
    stopped = []
    for outcomes in rng.random((runs, sequences)) < share:
        test = SignTest()
        for n, outcome in enumerate(outcomes, start=1):
            test = test.seen(bool(outcome))
            if test.evidence_for >= m / 0.05:
                stopped.append(n)
                break
    said = power(share, sequences=sequences, m=m)
    error = 3 * math.sqrt(said.power * (1 - said.power) / runs)
    assert abs(len(stopped) / runs - said.power) < error + 1e-9
    mean = (sum(stopped) + (runs - len(stopped)) * sequences) / runs
    assert mean == pytest.approx(said.expected_sequences, rel=0.06)


def test_what_is_needed_reaches_the_goal_and_one_less_does_not() -> None:
    needed = power(0.8, sequences=40, m=3).needed
    assert needed is not None
    assert power(0.8, sequences=needed, m=3).power >= 0.8 > power(0.8, sequences=needed - 1, m=3).power


def test_half_of_the_sequences_are_never_enough() -> None:
    assert power(0.5, sequences=1000).needed is None
    assert power(0.5, sequences=1000).power <= 0.05
    assert power(1.0, sequences=6).power == 0.0
    assert power(1.0, sequences=7).power == 1.0


def test_the_fewest() -> None:
    assert fewest() == 7  # 2⁸ / 8 > 20
    assert evidence(7, 7) >= 20 > evidence(6, 6)
    assert fewest(m=6) == 10


def test_shares_of_gaussian_values() -> None:
    assert share_of(0.5, threshold=0.5, spread=0.1, above=True) == pytest.approx(0.5)
    assert share_of(0.6, threshold=0.5, spread=0.1, above=True) == pytest.approx(0.8413, abs=1e-4)
    assert share_of(0.6, threshold=0.5, spread=0.1, above=False) == pytest.approx(0.1587, abs=1e-4)


@pytest.mark.parametrize(("share", "sequences"), [(-0.1, 10), (1.1, 10), (float("nan"), 10), (0.9, 0), (0.9, 1001)])
def test_what_cannot_be_planned_is_refused(share: float, sequences: int) -> None:
    with pytest.raises(FieldError, match="expected"):
        power(share, sequences=sequences)


@pytest.mark.parametrize(("value", "spread"), [(0.5, 0.0), (0.5, -1.0), (float("nan"), 0.1), (0.5, float("inf"))])
def test_a_spread_has_to_be_one(value: float, spread: float) -> None:
    with pytest.raises(FieldError, match="spread above 0"):
        share_of(value, threshold=0.5, spread=spread, above=True)
