"""Later and later up to a cap, never together, and the same for whoever asks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graph.queries.backoff import BASE_SECONDS, CAP_SECONDS, pause


@given(st.uuids().map(str), st.integers(1, 10_000))
def test_a_pause_lies_between_half_and_the_whole_of_its_bound(uid: str, attempt: int) -> None:
    bound = min(BASE_SECONDS * 2.0 ** min(attempt - 1, 1000), CAP_SECONDS)
    assert bound / 2 <= pause(uid, attempt) < bound
    assert pause(uid, attempt) == pause(uid, attempt)


@given(st.uuids().map(str), st.integers(1, 6))
def test_each_pause_is_longer_until_the_cap(uid: str, attempt: int) -> None:
    assert pause(uid, attempt + 1) >= pause(uid, attempt)


def test_runs_that_failed_together_do_not_come_back_together() -> None:
    pauses = sorted(pause(f"run {n}", 3) for n in range(200))
    assert len(set(pauses)) == 200
    bound = BASE_SECONDS * 4
    assert pauses[20] < 0.6 * bound
    assert pauses[180] > 0.9 * bound
    assert pause("run 1", 1) / BASE_SECONDS != pause("run 1", 2) / (2 * BASE_SECONDS)


def test_before_the_first_attempt_there_is_nothing_to_wait_for() -> None:
    assert pause("run", 0) == 0.0
