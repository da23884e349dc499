"""`fieldgraph physics` as a user meets it."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner, Result

from nvp.dynamics.perturbations import Perturbed
from nvp.thermo import physics_report
from resolvers.cli import physics

SMALL = ["--report", "--maps", "2", "--scale", "16", "--map-scale", "16"]


def invoke(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(physics.command)
    return CliRunner().invoke(app, list(arguments))


def test_the_report_is_one_json_object() -> None:
    result = invoke(*SMALL, "--json")
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    assert said["first_law"]["operations"]["rotation 45 deg"]["zero"]["random"]["pre_rescale"] < 0
    assert said["second_law"]["domains"]["plasma_physics"]["step"]["n"] == 2
    assert {"device", "versions", "seed"} <= set(said)
    assert json.loads(invoke(*SMALL, "--json").stdout)["first_law"] == said["first_law"]


def test_people_read_tables() -> None:
    said = invoke(*SMALL).stdout
    assert "translation 10 px     wrap" in said
    assert "whole sequences" in said


def test_a_broken_operation_exits_1(monkeypatch: pytest.MonkeyPatch) -> None:
    leak = {"leak": lambda energy, boundary, rng: Perturbed(0.9 * energy, -0.1)}
    monkeypatch.setattr(physics_report, "STRENGTHS", leak)
    result = invoke(*SMALL)
    assert result.exit_code == 1
    assert "leak (wrap, turbulent)" in result.stderr


def test_bad_use_is_one_line_and_exit_2() -> None:
    result = invoke("--scale", "20")
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "fieldgraph physics --report" in invoke("--help").stdout
