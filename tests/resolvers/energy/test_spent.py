"""Energy says how it is known; what is known differently is not added, and nothing is made up for accelerators."""

from __future__ import annotations

import pytest

from resolvers.energy.spent import ESTIMATED, MIXED, WATTS_PER_CORE, Spent, estimated, knowledge, share, total


@pytest.mark.parametrize("device", [None, "cpu"])
def test_processors_are_counted_by_their_time(device: str | None) -> None:
    spent = estimated(3.0, device, seconds=2.0)
    assert spent == Spent(pytest.approx(3 * WATTS_PER_CORE), 2.0, "estimated: 10 W × CPU seconds")
    assert spent.knowledge == "estimated"


def test_of_an_accelerator_nothing_is_said() -> None:
    assert estimated(3.0, "NVIDIA H200", seconds=2.0) == Spent(None, 2.0, None)


def test_only_like_sources_add_up() -> None:
    measured, guessed = Spent(5.0, 1.0, "measured: RAPL"), Spent(7.0, 2.0, ESTIMATED)
    assert total([measured, measured]) == Spent(10.0, 2.0, "measured: RAPL")
    assert total([measured, guessed]) == Spent(None, 3.0, MIXED)
    assert total([Spent(5.0, 1.0, "measured: NVML"), measured]) == Spent(None, 2.0, MIXED)
    assert total([measured, Spent(None, 4.0, None)]) == Spent(None, 5.0, MIXED)
    assert total([Spent(None, 4.0, None)]) == Spent(None, 4.0, None)
    assert total([]) == Spent(None, 0, None)


def test_what_several_spent_together_is_shared_and_their_time_is_not() -> None:
    assert share(Spent(6.0, 2.0, ESTIMATED), 3) == Spent(2.0, 2.0, ESTIMATED)
    assert share(Spent(None, 2.0, None), 3) == Spent(None, 2.0, None)


@pytest.mark.parametrize(
    ("source", "is_"),
    [(None, "unknown"), (MIXED, "mixed"), (ESTIMATED, "estimated"), ("measured: NVML", "measured")],
)
def test_a_source_says_how_it_knows(source: str | None, is_: str) -> None:
    assert knowledge(source) == is_
