"""Responses are those of the formula, and a lever that is none changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.coordinator.experiments import reactivity
from nvp.coordinator.experiments.config import ReactivityConfig
from nvp.coordinator.experiments.finding import Finding
from nvp.coordinator.experiments.gates import GateDraw, draw_gate

WEIGHT = 0.1


def estimates(found: Finding, arm: str) -> dict[str, float]:
    return {each.name: each.estimate for each in found.arms[arm]}


def response(gate: GateDraw) -> float:
    """dη/dΔ by hand.

    With y = (t + 2w·η)/(1 + 2w) at its minimum, the gate's is 2aη + 4bη³ + cost + 2w(η − y) = Δ.
    """
    pull = 2 * WEIGHT / (1 + 2 * WEIGHT)
    roots = np.roots([4 * gate.b, 0, 2 * gate.a + pull, gate.cost - gate.delta - pull * gate.domain])
    (eta,) = (root.real for root in roots if abs(root.imag) < 1e-9)
    return float(1 / (2 * gate.a + 12 * gate.b * eta**2 + pull)) if eta < 1 else 0.0


def test_levers_are_judged_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    same = {"line_search": False}
    monkeypatch.setattr(reactivity, "STEPPING", {"fixed steps": same, "the same again": same})
    found = reactivity.run(ReactivityConfig(trials=3, steps=30), lambda *_: None)
    by_name = {each.name: each for each in found.effects}
    assert by_name["steps saved: the same again"].estimate == 0
    assert found.verdict in ("null", "contradicted")
    assert by_name["dη/dΔ gained: half of a and b"].estimate > 0
    # a saturated gate answers nothing any more
    assert estimates(found, "coupling 3, gate 0.1")["η of the gate"] == pytest.approx(1, abs=1e-6)
    assert estimates(found, "coupling 3, gate 0.1")["dη/dΔ, relaxed"] == pytest.approx(0, abs=1e-6)
    expected = np.mean([response(draw_gate(np.random.default_rng((0, trial)))) for trial in range(3)])
    assert estimates(found, "as drawn")["dη/dΔ, relaxed"] == pytest.approx(expected, rel=1e-3)
    assert all(row["delta_energy"] <= 1e-12 for row in found.tables["relaxation"])
