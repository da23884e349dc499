"""Energy says how it is known; what is known differently is not added, and nothing is made up for accelerators."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.energy.spent import ESTIMATED, MIXED, WATTS_PER_CORE, Ledger, Spent, estimated, knowledge, share, total

MEASURED = "measured: NVML"


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


def node(**said: Any) -> Any:
    """What the graph says of some work."""
    nothing = dict.fromkeys(("energy_joules", "energy_source", "energy_measured", "energy_estimated", "seconds"))
    return SimpleNamespace(**{**nothing, "unmetered": 0, **said})


def test_a_ledger_keeps_joules_of_different_kinds_apart() -> None:
    both = Ledger.of(Spent(65.0, 1.0, MEASURED)) + Ledger.of(Spent(450.0, 2.0, ESTIMATED))
    assert (both.measured, both.estimated, both.seconds) == (65.0, 450.0, 3.0)
    assert (both.joules, both.source) == (65.0, f"{MEASURED}, beside 450 J {ESTIMATED}")
    part = both + Ledger.of(Spent(None, 1.0, None))
    assert (part.measured, part.estimated, part.unmetered) == (65.0, 450.0, 1)
    assert (part.joules, part.source) == (None, MIXED), "nobody knows the whole"
    assert Ledger.of(Spent(None, 1.0, MIXED)).unmetered == 1
    nothing = Ledger()
    assert (nothing.joules, nothing.source) == (None, None)


def test_it_reads_what_runs_and_stages_say() -> None:
    both = node(energy_measured=65.0, energy_estimated=450.0, energy_source=MIXED, seconds=3.0)
    assert Ledger.read(both).source == f"measured, beside 450 J {ESTIMATED}"
    again = Ledger.read(node(energy_measured=65.0, energy_estimated=450.0, energy_source=Ledger.read(both).source))
    assert again.source == Ledger.read(both).source, "once written and read it says the same"
    # of an older graph
    assert Ledger.read(node(energy_joules=7.0, energy_source=ESTIMATED)) == Ledger.of(Spent(7.0, 0.0, ESTIMATED))
    assert Ledger.read(node()).unmetered == 1


joules = st.one_of(st.none(), st.floats(0, 1e6))
spent = st.builds(
    Spent, joules, st.floats(0, 1e3), st.sampled_from([None, MIXED, ESTIMATED, MEASURED, "measured: RAPL"])
)


@given(st.lists(spent, max_size=6))
def test_no_part_is_lost_and_none_counts_twice(parts: list[Spent]) -> None:
    whole = sum(map(Ledger.of, parts), Ledger())
    known = [part for part in parts if part.joules is not None and part.knowledge in ("measured", "estimated")]
    assert whole.unmetered == len(parts) - len(known)
    for kind, found in (("measured", whole.measured), ("estimated", whole.estimated)):
        of_it = [part.joules or 0.0 for part in known if part.knowledge == kind]
        assert (found is None) == (not of_it)
        assert found is None or found == pytest.approx(sum(of_it))
    assert (whole.joules is None) == (whole.unmetered > 0 or not known)
    # a stage that is written and read again has the same account
    read = Ledger.read(
        node(energy_joules=whole.joules, energy_source=whole.source, energy_measured=whole.measured,
             energy_estimated=whole.estimated, unmetered=whole.unmetered, seconds=whole.seconds)
    )  # fmt: skip
    if parts:
        assert (read.measured, read.estimated, read.unmetered) == (whole.measured, whole.estimated, whole.unmetered)
        assert read.source == whole.source
