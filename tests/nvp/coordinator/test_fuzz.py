"""The judge of the solvers can say no."""

from __future__ import annotations

import numpy as np
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
    # told that the last step of each run went uphill, it must find that step, and none beyond the last
    monkeypatch.undo()
    relaxed = module._descend_all

    for late, expected in ((0, 6), (1, 0)):

        def uphill(*arrays, late=late, **settings):  # type: ignore[no-untyped-def]
            state, rises = relaxed(*arrays, **settings)
            return state, np.where(np.arange(1, module.STEPS + 1) >= np.asarray(state.step)[:, None] + late, 1.0, rises)

        monkeypatch.setattr(module, "_descend_all", uphill)
        assert fuzz(6, ["newton"], 0)["rises"] == expected
