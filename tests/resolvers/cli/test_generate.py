"""`fieldgraph generate` as a user meets it, before it needs a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from resolvers.cli import generate


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIELDGRAPH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def invoke(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(generate.command)
    return CliRunner().invoke(app, list(arguments))


def test_dry_run_says_what_would_be_made_and_touches_nothing(home: Path) -> None:
    arguments = ["--sequences", "3", "--steps", "10", "--scale", "32", "--dry-run", "--json"]
    said = json.loads(invoke(*arguments).stdout)
    assert said["frames"] == 30
    assert said["energy_bytes"] == 30 * 32 * 32 * 4
    assert len(set(said["sequences"])) == 3
    assert json.loads(invoke(*arguments).stdout) == said
    other = json.loads(invoke(*arguments, "--seed", "1").stdout)
    assert not set(other["sequences"]) & set(said["sequences"])
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--scale", "33"], "multiple of 8"),
        (["--domain", "surface_temperature"], "fluid_dynamics"),
        (["--set", "colour=3"], "colour"),
        (["--set", "viscosity=.2,.1"], "viscosity"),
    ],
)
def test_bad_use_is_one_line_and_exit_2(arguments: list[str], word: str, home: Path) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert word in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not home.exists()


def test_settings_reach_the_recipe() -> None:
    plain = json.loads(invoke("--dry-run", "--json").stdout)
    varied = json.loads(invoke("--dry-run", "--json", "--set", "dt=4.2", "--set", "viscosity=.1,.2").stdout)
    assert not set(plain["sequences"]) & set(varied["sequences"])


def test_help_has_an_example() -> None:
    assert "fieldgraph generate --domain" in invoke("--help").stdout
