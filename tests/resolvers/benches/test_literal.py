"""`fieldgraph bench literal` in small, and its suite beside it: what a step costs, and what 256² would."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from resolvers.benches.literal import LiteralBenchConfig, bench_literal
from resolvers.cli.bench import app


def test_the_figures() -> None:
    found = bench_literal(LiteralBenchConfig(scale=8, batch=1, steps=3), lambda *_: None)
    here, drawn = found["results"]["8"], found["results"]["256"]
    assert (found["n"], found["passed"]) == (3, True)
    assert round(drawn["parameters"]["total"] / 1e6, 1) == 546.3
    assert drawn["training_gib"] == pytest.approx(8.14, abs=0.01)
    assert 0 < here["step_ms"]["min"] <= here["step_ms"]["median"] <= here["step_ms"]["max"]
    assert here["step_gflop"] > 0
    # weights, two moments and what is in between
    assert here["step_memory_gib"] > 3 * here["weights_gib"] - 0.002
    assert 0 < here["predict_ms"] < here["predict_uncompiled_ms"]
    assert here["compilation_gain"] > 1


def test_a_suite_that_is_none() -> None:
    ran = CliRunner().invoke(app, ["nvp", "--suite", "nothing"])
    assert ran.exit_code == 2
