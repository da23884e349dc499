"""The formula is met where it holds, and a tolerance below round-off is not."""

from __future__ import annotations

import pytest

from nvp.coordinator.experiments.config import LandauConfig
from nvp.coordinator.experiments.landau import run


def test_wells_order_as_the_formula_says() -> None:
    found = run(LandauConfig(sweep=(-3.0, 1.0, 8), trials=2), lambda *_: None)
    assert (found.verdict, found.passed) == ("supported", True)
    # beyond the box the wall holds
    assert found.curves["exact"][0] == found.curves["relaxed"][0] == 1
    assert found.effects[1].estimate == pytest.approx(0.5, abs=1e-6)
    (plain,) = found.arms.values()
    assert plain[0].estimate > 1e-3
    strict = run(LandauConfig(sweep=(-3.0, 1.0, 8), trials=2, tolerance=0.0), lambda *_: None)
    assert strict.passed == (strict.effects[0].estimate == 0)
