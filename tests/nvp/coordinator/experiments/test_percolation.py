"""The control has as many edges: only then does the shift say anything of their length."""

from __future__ import annotations

import pytest

from nvp.coordinator.experiments.config import PercolationConfig
from nvp.coordinator.experiments.percolation import run


def test_shortcuts_shift_the_threshold_and_nothing_does_not() -> None:
    found = run(PercolationConfig(size=12, trials=8, share=0.08), lambda *_: None)
    assert (found.verdict, found.passed) == ("supported", True)
    beyond, shift, local, _ = (each.estimate for each in found.effects)
    assert 0 < beyond == pytest.approx(shift - local)
    assert local > 0
    without = run(PercolationConfig(size=8, trials=4, share=0.0), lambda *_: None)
    assert without.verdict == "null"
    assert {each.estimate for each in without.effects} == {0.0}
