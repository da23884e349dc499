"""Stages that open their own gates: learning pays where promises are wrong, and is idle where they are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvp.coordinator.experiments import stage_gates
from nvp.coordinator.experiments.config import StageGatesConfig
from nvp.coordinator.experiments.finding import Finding
from nvp.errors import FieldError

BIASED = {"trials": 4, "rounds": 4}


def silent(*_: object) -> None:
    """No progress."""


def estimates(found: Finding, arm: str) -> dict[str, float]:
    return {each.name: each.estimate for each in found.arms[arm]}


@pytest.fixture(scope="module")
def biased() -> Finding:
    return stage_gates.run(StageGatesConfig(**BIASED, bias=0.6), silent)


def test_the_budget_holds_and_the_order_in_every_arm(biased: Finding) -> None:
    assert biased.passed
    assert [each.met for each in biased.checks] == [True] * 3
    assert set(biased.arms) == set(stage_gates.ARMS)


def test_mu_is_counted_from_what_openings_brought(biased: Finding) -> None:
    for arm in stage_gates.ARMS:
        rows = [row for row in biased.tables["openings"] if row["arm"] == arm]
        gained = sum(max(row["realised"], 0) for row in rows)
        found = estimates(biased, arm)
        assert found["openings per unit of realised gain (mu)"] == pytest.approx(len(rows) / gained)
        assert found["openings per round"] * 4 * 4 == pytest.approx(len(rows))
        net = sum(row["realised"] - row["cost"] for row in rows) / (4 * 4)
        assert found["net benefit per round"] == pytest.approx(net)


def test_gates_shut_that_promise_more_than_they_bring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages that always lose: a threshold on promises opens them for ever, whoever learns stops."""

    def losing(config: StageGatesConfig, trial: int) -> stage_gates.World:
        world = draw(config, trial)
        return replace(world, promised=np.full(7, 0.9), measured=np.full_like(world.measured, -0.5))

    draw = stage_gates.draw_world
    monkeypatch.setattr(stage_gates, "draw_world", losing)
    found = stage_gates.run(StageGatesConfig(**BIASED), silent)
    assert (found.verdict, found.passed) == ("supported", True)
    last = "net benefit of the last round"
    for way in ("threshold", "relaxed"):
        assert estimates(found, f"{way}, learnt")[last] == 0 > estimates(found, f"{way}, promised")[last]


def test_right_promises_leave_nothing_to_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured is what was promised, so that E[Δ] is the promise: learning changes nothing at all."""

    def honest(config: StageGatesConfig, trial: int) -> stage_gates.World:
        world = draw(config, trial)
        return replace(world, promised=world.brings, measured=np.tile(world.brings, (config.rounds, 1)))

    draw = stage_gates.draw_world
    monkeypatch.setattr(stage_gates, "draw_world", honest)
    found = stage_gates.run(StageGatesConfig(**BIASED), silent)
    for way in stage_gates.WAYS:
        told, learnt = estimates(found, f"{way}, promised"), estimates(found, f"{way}, learnt")
        assert told["net benefit per round"] == pytest.approx(learnt["net benefit per round"], abs=1e-12)
    assert found.verdict != "supported"


def test_a_world_is_that_of_its_seed() -> None:
    config = StageGatesConfig(**BIASED)
    one, same, other = (stage_gates.draw_world(config, trial) for trial in (3, 3, 4))
    np.testing.assert_array_equal(one.measured, same.measured)
    assert (one.brings != other.brings).all()
    assert one.budget == pytest.approx(0.6 * one.joules.sum())
    with pytest.raises(FieldError, match="prior > 0"):
        StageGatesConfig(prior=0.0)
