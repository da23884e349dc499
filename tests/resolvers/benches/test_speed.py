"""The speed suite in small; and the UNet with its channels last is the UNet."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from resolvers.benches import speed, unet_nhwc
from resolvers.benches.peers import build
from resolvers.benches.scenarios import lenient
from resolvers.benches.suites import SUITES, SuiteConfig


def test_channels_last_say_the_same() -> None:
    net = build("UNet;3;2;relu", 2, seed=0)
    states = np.random.default_rng(0).normal(size=(2, 2, 16, 8)).astype(np.float32)
    with lenient():
        expected = np.moveaxis(np.asarray(jax.jit(jax.vmap(net))(states)), 1, -1)
        said = jax.jit(unet_nhwc.apply)(unet_nhwc.port(net), np.moveaxis(states, 1, -1))
    np.testing.assert_allclose(said, expected, atol=5e-6)


def test_the_suite_in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_PEER", "UNet;3;2;relu")
    monkeypatch.setattr(speed, "_WIDTHS", (4, 4, 4))
    told: list[str] = []
    found = SUITES["speed"](SuiteConfig(quick=True), lambda name, share, line: told.append(name))
    grid = found["results"]["32"]
    for who in ("ours", "unet", "unet_nhwc"):
        row = grid[who]
        assert 0 < row["step_ms"]["min"] <= row["step_ms"]["median"]
        assert row["samples_per_second"] == pytest.approx(8e3 / row["step_ms"]["median"], rel=0.01)
        # the gradient takes more than the forward pass alone
        assert row["step_gflop"] > 2 * row["forward_gflop"] > 0
    # both begin with the same weights and see the same batches
    assert grid["unet"]["one_step_nrmse"] == pytest.approx(grid["unet_nhwc"]["one_step_nrmse"], rel=1e-3)
    assert grid["unet"]["parameters"] == grid["unet_nhwc"]["parameters"]
    assert grid["work"] == pytest.approx(grid["ours"]["forward_gflop"] / grid["unet"]["forward_gflop"], rel=0.01)
    assert found["forecast"]["checkpoint"] is None
    assert 0 < found["forecast"]["p50_ms"] <= found["forecast"]["p95_ms"]
    assert found["passed"] is all(found["criteria"].values())
    assert set(told) == {"32²", "forecast"}
