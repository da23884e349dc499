"""The judge of the solvers can say no."""

from __future__ import annotations

import pytest

from nvp.coordinator import fuzz as module
from nvp.coordinator.fuzz import fuzz


def test_newton_never_makes_it_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fuzz(6, ["newton"], 0)
    assert found["by_mode"].keys() == {"newton"}
    assert {key: found[key] for key in ("runs", "rises", "worse_than_start")} == {
        "runs": 6,
        "rises": 0,
        "worse_than_start": 0,
    }
    # told that the start was better than it is, it must find every end worse
    honest = module.reference_energy
    calls = []

    def dishonest(graph, eta):  # type: ignore[no-untyped-def]
        calls.append(eta)
        value, slope = honest(graph, eta)
        return (value - 1e3 if len(calls) <= 6 else value), slope

    monkeypatch.setattr(module, "reference_energy", dishonest)
    assert fuzz(6, ["newton"], 0)["worse_than_start"] == 6
