"""Levels go up while it goes well and down where it swings, and never beyond their ends."""

from __future__ import annotations

from dataclasses import replace

import jax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph, Module
from nvp.coordinator.curriculum import Level, Outcome, climb, init, outcome_of, update
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.relax import relax
from nvp.coordinator.scenarios import baseline
from nvp.errors import FieldError

WELL = Outcome(rate=0.9, oscillation=0.1)
FAIR = Outcome(rate=0.5, oscillation=0.4)
WILD = Outcome(rate=0.2, oscillation=0.8)
LOW = Outcome(rate=0.9, oscillation=0.1, low_margin=True)
KEY = jax.random.key(0)
# every level is the same program, which other tests compile too
CONFIG = RelaxConfig(mode="gradient", steps=200, record_states=True)


def levels(*outcomes: Outcome, start: int = 0, patience: int = 2) -> list[int]:
    at, found = replace(init(3), level=start), []
    for outcome in outcomes:
        at = update(at, outcome, patience=patience)
        found.append(at.level)
    return found


def test_two_in_a_row_lead_up_and_two_down() -> None:
    assert levels(WELL, WELL, WELL, WELL, WELL, WELL) == [0, 1, 1, 2, 2, 2]
    assert levels(WELL, FAIR, WELL, FAIR) == [0, 0, 0, 0]
    assert levels(WILD, WILD, LOW, LOW, WILD, LOW, start=2) == [2, 1, 1, 0, 0, 0]
    assert levels(WELL, patience=1) == [1]
    # a low margin is a warning however well F falls
    assert LOW.badly
    assert not LOW.well
    assert Outcome(rate=0.0, oscillation=0.0, settled=True).well
    assert not Outcome(rate=0.0, oscillation=0.0).well


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from([WELL, FAIR, WILD, LOW]), max_size=20), st.integers(1, 3), st.integers(1, 4))
def test_a_level_is_always_one_of_them_and_moves_by_one(outcomes: list[Outcome], patience: int, count: int) -> None:
    at: Level = init(count)
    for outcome in outcomes:
        after = update(at, outcome, patience=patience)
        assert 0 <= after.level < count
        assert abs(after.level - at.level) <= 1
        at = after


def test_climbing_ends_at_the_hardest_and_each_begins_where_the_one_before_settled() -> None:
    whole = baseline()
    coupled = [term for term in whole.terms if "coup" in term]
    graphs = [replace(whole, weights=dict.fromkeys(coupled, share)) for share in (0.1, 0.5, 1.0)]
    found, visited = climb(graphs, CONFIG, KEY, eta0=[0.9, 0.1])
    assert visited == (0, 0, 1, 1, 2, 2)
    assert float(found.energy) == pytest.approx(reference_energy(whole, found.eta)[0])
    alone = relax(whole, CONFIG, KEY, eta0=[0.9, 0.1])
    assert float(found.energy) <= float(alone.energy) + 1e-6
    assert outcome_of(alone, CONFIG).well
    _, cut = climb(graphs, CONFIG, KEY, eta0=[0.9, 0.1], most=3)
    assert cut == (0, 0, 1)


def test_what_is_no_curriculum_is_refused() -> None:
    with pytest.raises(FieldError, match="at least one level"):
        init(0)
    with pytest.raises(FieldError, match=r"as many modules at each level, got \[2, 3\]"):
        climb([baseline(), CouplingGraph(modules=[Module("gating")] * 3)], CONFIG, KEY)
    with pytest.raises(FieldError, match="patience"):
        climb([baseline()], CONFIG, KEY, patience=0)
