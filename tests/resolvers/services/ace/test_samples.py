"""What tables say of sub-hypotheses: values, differences, and the pooled headline."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from resolvers.ace.claims import Claim, Perturbation
from resolvers.ace.expansion import plan
from resolvers.services.ace import executing
from resolvers.services.ace.samples import Cell, Table, asked, in_order, judged, pooled


def claim(**changes: object) -> Claim:
    given = {"metric": "fidelity", "comparator": ">", "threshold": 0.5, "domain": "fluid_dynamics", "model": "tiny"}
    return Claim(**(given | changes))  # type: ignore[arg-type]


def table(values: list[float], *, ridge: float = 0.2, lead: int = 1) -> Table:
    return {
        f"s{at}": {"model": {lead: Cell(value, 4, 1.0)}, "ridge": {lead: Cell(ridge, 4, 1.0)}}
        for at, value in enumerate(values)
    }


def test_evaluations_are_asked_for_each_lead_and_each_rival() -> None:
    assert asked(plan(claim(horizon=3)))["leads"] == {"model": [1, 2, 3], "ridge": [3]}
    against = plan(claim(versus="upwind", threshold=0.0, metric="vrmse", comparator="<"))
    assert asked(against)["leads"] == {"model": [1], "upwind": [1], "persistence": [1], "ridge": [1]}
    noisy = asked(plan(claim(perturbation=Perturbation(operation="gaussian_noise", amount=0.01))))
    assert noisy["perturbation"] == {"operation": "gaussian_noise", "amount": 0.01}
    assert asked(plan(claim(model="ridge")))["model"] == "ridge"


def test_a_table_is_judged_in_its_order_with_what_is_pooled() -> None:
    found = judged(plan(claim()), table([0.6] * 12), prior=0.5)
    assert found.verdict == "supported"
    assert len(found.cited) == 8
    assert found.of("lead 1").headline == pytest.approx(0.6)
    assert found.of("beats ridge").median == pytest.approx(0.4)
    assert judged(plan(claim()), table([0.4] * 12), prior=0.5).verdict == "refuted"
    # a bad sequence that weighs more than all others: the headline disagrees, and nothing is decided
    heavy = dict(table([0.6] * 7))
    heavy = {"s9": {"model": {1: Cell(0.0, 4, 100.0)}, "ridge": {1: Cell(0.2, 4, 1.0)}}} | heavy
    heavy |= {f"t{at}": row for at, row in enumerate(table([0.6] * 30).values())}
    split = judged(plan(claim()), heavy, prior=0.5)
    assert split.verdict == "undetermined"
    assert "headline" in split.caveats[0]


def test_what_cannot_be_scored_is_void_and_days_are_said_to_be_days() -> None:
    found = judged(plan(claim()), table([math.nan] * 3 + [0.6] * 8), prior=0.5)
    assert found.of("lead 1").void == 3
    days = {f"r@2019-03-{at + 1:02}": row for at, row in enumerate(table([0.6] * 8).values())}
    assert any("days" in one for one in judged(plan(claim()), days, prior=0.5).caveats)


@pytest.mark.parametrize(
    ("metric", "expected"), [("fidelity", 1 - math.sqrt((0.25 * 1 + 0 * 3) / 4)), ("vrmse", 0.875), ("closure", 1.0)]
)
def test_each_measure_is_pooled_in_its_own_way(metric: str, expected: float) -> None:
    cells = [Cell(0.5, 1, 1.0), Cell(1.0, 3, 3.0), Cell(math.nan, 9, 9.0)]
    assert pooled(metric, cells) == pytest.approx(expected)
    assert math.isnan(pooled(metric, cells[2:]))


def test_the_order_is_the_one_that_was_drawn() -> None:
    rows = {"b@2": {}, "a": {}, "b@1": {}, "z": {}}
    assert list(in_order(rows, ["b", "a"])) == ["b@1", "b@2", "a", "z"]


def test_whether_it_is_decided_is_asked_in_the_order_in_which_it_is_judged() -> None:
    """Seven on its side and then three that are not decide it, in another order they do not."""
    values = [0.6] * 7 + [0.4] * 3
    looked = [f"s{9 - at}" for at in range(10)]
    by_uid = dict(sorted(zip(looked, table(values).values(), strict=True)))
    made = plan(claim(model="ridge"))
    by_uid = {uid: {"ridge": row["model"]} for uid, row in by_uid.items()}
    assert judged(made, by_uid, prior=0.5).stopped_by == "sequences"
    assert judged(made, in_order(by_uid, looked), prior=0.5).stopped_by == "decision"
    for before in (0, 4):
        inquiry: Any = SimpleNamespace(plan=made, prior=0.5, every=lambda _, n=before: [{"sequences": looked[:n]}])
        assert executing._decided(inquiry, by_uid, executing.Progress(sequences=looked[before:]))
