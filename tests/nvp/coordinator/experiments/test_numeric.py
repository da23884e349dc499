"""Experiments without relaxations: dilution, gating, branching, Nash; each can come out the other way."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.coordinator.experiments import branching, dilution, gating, nash
from nvp.coordinator.experiments.config import BranchingConfig, DilutionConfig, GatingConfig, NashConfig
from nvp.coordinator.experiments.finding import Finding
from nvp.errors import FieldError


def silent(*_: object) -> None:
    """No progress."""


def estimates(found: Finding, arm: str) -> dict[str, float]:
    return {each.name: each.estimate for each in found.arms[arm]}


def test_length_alone_explains_what_a_prefix_gains() -> None:
    """Without noise the diluted prefix *is* the whole: the effect beyond dilution is exactly none."""
    found = dilution.run(DilutionConfig(trials=3, noise=0.0), silent)
    assert found.verdict == "null"
    beyond, gained, by_length, _ = (each.estimate for each in found.effects)
    assert beyond == pytest.approx(0, abs=1e-18)
    assert gained == pytest.approx(by_length)
    assert gained > 1e-3
    with pytest.raises(FieldError, match="position"):
        dilution.run(DilutionConfig(trials=2, length=20, position=18), silent)


def test_hazard_and_logistic_gate_are_one_function() -> None:
    check = gating.identity(10.0)
    assert check.met


def test_dear_gates_open_less_often_and_for_better_repairs() -> None:
    found = gating.run(GatingConfig(trials=150, costs=(0.0, 0.9), length=24), silent)
    assert (found.verdict, found.passed) == ("supported", True)
    cheap, dear = (estimates(found, f"cost {each}") for each in ("0", "0.9"))
    assert cheap["opened"] > dear["opened"] + 0.1
    assert cheap["hazard"] > dear["hazard"]
    assert dear["order redeemed per opening"] > estimates(found, "every gate open")["order redeemed per repair"]
    rows = found.tables["gates"]
    assert len(rows) == 300
    assert {"hazard", "eta_gate", "redemption", "is_good"} <= rows[0].keys()
    # by hand from the rows: openings per unit of order
    at = [row for row in rows if row["cost"] == 0]
    mu = sum(row["opened"] for row in at) / sum(max(row["redemption"], 0) for row in at)
    assert cheap["openings per unit of order (mu)"] == pytest.approx(mu)


def test_gates_that_ignore_what_they_are_promised_are_not_supported() -> None:
    """k = 0: every gate opens with probability ½, whatever it is for."""
    found = gating.run(GatingConfig(trials=150, sharpness=0.0, length=24), silent)
    assert found.verdict != "supported"
    assert 0.4 < estimates(found, "cost 0")["opened"] < 0.6
    with pytest.raises(FieldError, match="rising"):
        GatingConfig(costs=(0.1, 0.0))


def test_only_the_rule_that_ignores_the_cost_always_has_two_lines() -> None:
    found = branching.run(BranchingConfig(trials=60), silent)
    assert found.passed
    assert estimates(found, "always the best two")["lines at the end"] == 2
    assert estimates(found, "open where net > 0")["lines at the end"] < 1.9
    dear = branching.run(BranchingConfig(trials=60, cost=2.0), silent)
    assert dear.verdict == "supported"
    assert estimates(dear, "open by hazard")["lines at the end"] == 1
    # what never opens gains nothing
    assert estimates(dear, "open by hazard")["net gained by the best line"] == 0
    assert estimates(dear, "always the best two")["lines at the end"] == 2


def test_a_level_branches_where_both_of_a_lines_branches_open() -> None:
    config = BranchingConfig(depth=40)
    share, ends, gained = branching.grow(config, 3, "net", kept=1)
    rng = np.random.default_rng((config.seed, 3))
    nets = rng.normal(config.gain - config.cost, config.spread, (40, branching.KEPT, 2))[:, 0]
    assert share == np.mean((nets > 0).all(axis=1)) > 0
    assert ends == 1
    assert gained == pytest.approx(np.maximum(nets, 0).max(axis=1).sum())


def test_both_players_defect_unless_the_column_player_reads_the_wrong_rows() -> None:
    found = nash.run(NashConfig(trials=8), silent)
    assert (found.verdict, found.passed) == ("supported", True)
    trap = estimates(found, "its payoffs misread for the column player")
    assert trap["probability of defection, row player"] > 0.99
    assert trap["probability of defection, column player"] < 0.01
    short = nash.run(NashConfig(trials=8, steps=3), silent)
    assert not short.passed
    # a step by hand: against q = ½ defection pays 3, cooperation 1.5
    p, q = nash.learn(np.array([0.2]), np.array([0.5]), *[np.array([nash.PRISONERS_DILEMMA])] * 2, steps=1, rate=0.1)
    assert p == pytest.approx(0.2 + 0.1 * 0.2 * 0.8 * 1.5)
    assert q == pytest.approx(0.5 + 0.1 * 0.25 * (5 - 4 * 0.2 - 3 * 0.8))
    assert nash.regrets(p, np.array([0.5]), np.array([nash.PRISONERS_DILEMMA])) == pytest.approx((1 - p) * 1.5)
