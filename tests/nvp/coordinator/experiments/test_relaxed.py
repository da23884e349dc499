"""Experiments that relax: the effect is there, and gone where what causes it is taken away."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.coordinator.experiments import chain, closed_gates, maps, percolation_gates, redemption
from nvp.coordinator.experiments.config import (
    ChainConfig,
    ClosedGatesConfig,
    MapsConfig,
    PercolationGatesConfig,
    RedemptionConfig,
)
from nvp.coordinator.experiments.finding import Finding


def silent(*_: object) -> None:
    """No progress."""


def estimates(found: Finding, arm: str) -> dict[str, float]:
    return {each.name: each.estimate for each in found.arms[arm]}


def test_a_gate_picks_its_own_repairs_and_the_relaxed_state_proves_nothing() -> None:
    found = redemption.run(RedemptionConfig(trials=64, length=24), silent)
    assert (found.verdict, found.passed) == ("supported", True)
    own, other = estimates(found, "own benefit"), estimates(found, "another's benefit")
    # the same benefits, only given to the wrong gates: as many open
    assert own["gates open"] == other["gates open"] > 0
    assert own["order redeemed, measured"] > other["order redeemed, measured"]
    assert estimates(found, "coupling off")["gates open"] == 0
    # nothing was repaired there, and yet the relaxed η is as good
    assert estimates(found, "coupling off")["η of the sequence, relaxed"] == pytest.approx(1, abs=1e-3)


def test_a_gate_opens_where_shortcuts_connect_and_shifts_nothing_by_itself() -> None:
    config = PercolationGatesConfig(trials=6, pilots=4, size=12, share=0.08)
    found = percolation_gates.run(config, silent)
    assert found.passed
    fed = estimates(found, "gate fed its benefit")
    assert 0 < fed["share of p at which the gate is open"] < 1
    assert fed["p_c"] < estimates(found, "coupling off")["p_c"] == estimates(found, "never open")["p_c"]
    eta = np.tile(np.linspace(0, 1, len(percolation_gates.PS)), (2, 1))
    eta[1] = 0
    at = percolation_gates.thresholds(eta, 0.5)
    assert at == pytest.approx([percolation_gates.PS[25], percolation_gates.PS[-1]])


def test_couplings_help_as_far_as_the_truth_is_smooth_along_them() -> None:
    found = chain.run(ChainConfig(trials=8, count=8), silent)
    assert (found.verdict, found.passed) == ("supported", True)
    # evidence without noise cannot be improved: then couplings only blur it
    exact = chain.run(ChainConfig(trials=8, count=8, noise=0.0), silent)
    assert exact.verdict == "contradicted"
    assert exact.passed


def test_weak_couplings_leave_gates_where_they_are_alone() -> None:
    found = maps.run(MapsConfig(trials=3, couplings=(1e-9, 1.0), costs=(0.0, 0.5), count=4), silent)
    assert found.passed
    away = np.array(found.curves["maps"]["distance from the local state"])
    assert away.shape == (2, 2)
    assert away[0] == pytest.approx(0, abs=1e-6)
    assert away[1, 0] > 0.05
    hazard = np.array(found.curves["maps"]["hazard"])
    assert (hazard[:, 0] > hazard[:, 1]).all()


def test_a_closed_gate_opens_by_itself_unless_its_benefit_has_no_slope() -> None:
    found = closed_gates.run(ClosedGatesConfig(trials=8), silent)
    assert found.verdict == "contradicted"
    assert estimates(found, "−wΔη, from 0")["stuck"] == 0
    assert estimates(found, "−wΔη², from 0")["stuck"] == 1
