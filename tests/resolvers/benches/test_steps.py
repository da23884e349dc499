"""What a step costs, in small; and what is asked of a GPU is judged on a GPU only."""

from __future__ import annotations

from typing import Any

import pytest

from nvp.model import nvp
from resolvers.benches import costs, steps
from resolvers.benches.suites import SUITES, SuiteConfig
from tests.nvp.training.toy import Toy


def test_the_suite_in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvp, "NVP", Toy)
    found = SUITES["steps"](SuiteConfig(quick=True), lambda *_: None)
    results = found["results"]
    assert 0 < results["forecast"]["p50_ms"] <= results["forecast"]["p95_ms"]
    assert results["compiled"]["gain"] == pytest.approx(
        results["compiled"]["step_uncompiled_ms"] / results["compiled"]["step_ms"], rel=0.02
    )
    assert results["compiled"]["gain"] > 1
    (row,) = results["training"]["by_batch"]
    assert row["gflop_per_second"] == pytest.approx(row["step_gflop"] / row["step_ms"] * 1e3, rel=0.05)
    assert row["mfu"] is None
    assert len(results["kernels"]["dearest"]) == 5
    assert found["criteria"]["forecast in 2 ms"] is None
    assert found["criteria"]["20 % of what the device promises"] is None
    assert found["passed"]


@pytest.mark.parametrize(("milliseconds", "share", "passed"), [(1.5, 0.3, True), (2.5, 0.3, False), (1.5, 0.1, False)])
def test_a_gpu_is_held_to_what_is_asked_of_one(
    monkeypatch: pytest.MonkeyPatch, milliseconds: float, share: float, passed: bool
) -> None:
    monkeypatch.setattr(steps, "on_gpu", lambda: True)
    monkeypatch.setattr(steps, "_forecast", lambda *_: {"p50_ms": milliseconds})
    monkeypatch.setattr(steps, "_compiled", lambda *_: {"gain": 5.0})
    asked: list[int] = []

    def training(sizes: Any, batch: int, seed: int, *, gpu: bool) -> dict[str, Any]:
        asked.append(batch)
        return {"batch": batch, "gflop_per_second": batch, "mfu": share * batch / 32}

    monkeypatch.setattr(steps, "_training", training)
    monkeypatch.setattr(steps, "_kernels", lambda sizes, batch, seed, *, gpu: {"batch": batch})
    found = steps.run(SuiteConfig(), lambda *_: None)
    # the largest share of all batches counts, and its kernels are looked at
    assert asked == [8, 16, 32]
    assert found["results"]["training"]["mfu"] == share
    assert found["results"]["kernels"] == {"batch": 32}
    assert found["passed"] is passed


def test_what_a_device_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    assert costs.mfu(1e12) is None
    monkeypatch.setattr(costs, "accelerator", lambda: {"platform": "gpu", "kind": "NVIDIA H200", "count": 1})
    assert costs.on_gpu()
    assert costs.mfu(98.9e12, "bfloat16") == pytest.approx(0.1)
    assert costs.mfu(98.8e12) == pytest.approx(0.2)
