"""`fieldgraph generate` as a user meets it, before it needs a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from nvp.atlas.maps.loader import EnergyAtlasLoader
from nvp.dynamics.config import CONFIGS
from nvp.thermo import generation_report
from resolvers.cli import generate


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIELDGRAPH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def invoke(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(generate.command)
    return CliRunner().invoke(app, list(arguments))


SMALL = ["--sequences", "2", "--steps", "4", "--scale", "16", "--set", "warm_up=1"]
FIGURES = {"first_law_residual", "persistence_vrmse", "linear_fidelity", "second_law_rate", "seconds"}


def test_a_plan_says_what_would_be_made_and_touches_nothing(home: Path) -> None:
    arguments = ["--sequences", "3", "--steps", "10", "--scale", "32", "--plan", "--json"]
    said = json.loads(invoke(*arguments).stdout)
    of = said["domains"]["fluid_dynamics"]
    assert of["frames"] == 30
    assert of["energy_bytes"] == 30 * 32 * 32 * 4
    assert len(set(of["sequences"])) == 3
    assert json.loads(invoke(*arguments).stdout) == said
    other = json.loads(invoke(*arguments, "--seed", "1").stdout)
    assert not set(other["domains"]["fluid_dynamics"]["sequences"]) & set(of["sequences"])
    pictures = json.loads(invoke(*arguments, "--kind", "perturbation").stdout)
    assert not set(pictures["domains"]["fluid_dynamics"]["sequences"]) & set(of["sequences"])
    assert not home.exists()


def test_dry_run_simulates_and_prints_figures_of_all_sequences(home: Path) -> None:
    results = [invoke(*SMALL, "--dry-run", "--json", "--seed", seed) for seed in ("0", "0", "1")]
    said = [json.loads(result.stdout) for result in results]
    of = [one["domains"]["fluid_dynamics"] for one in said]
    assert set(of[0]) >= FIGURES
    assert (said[0]["n"], said[0]["seed"], of[0]["n"], of[0]["frames"]) == (2, 0, 2, 8)
    assert {"device", "versions"} <= set(said[0])
    assert 0 < of[0]["first_law_residual"] < 1e-5
    assert of[0]["seconds"] > 0
    # the same seed is the same data
    assert of[0]["digest"] == of[1]["digest"] != of[2]["digest"]
    assert all(result.exit_code == (1 if one["missed"] else 0) for result, one in zip(results, said, strict=True))
    assert not home.exists()


def test_a_missed_criterion_is_named_and_exits_1(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation_report, "MIN_PERSISTENCE_VRMSE", 99.0)
    result = invoke(*SMALL, "--dry-run", "--json")
    assert result.exit_code == 1
    (said,) = json.loads(result.stdout)["missed"].items()
    assert said[0] == "fluid_dynamics"
    assert "expected a persistence VRMSE of at least 99" in said[1][0]
    assert "fluid_dynamics: expected a persistence VRMSE of at least 99" in result.stderr


def test_perturbed_data_are_judged_by_the_first_law_and_say_their_ceiling(home: Path) -> None:
    result = invoke("--kind", "perturbation", "--sequences", "2", "--scale", "16", "--dry-run", "--json")
    assert result.exit_code == 0, result.stderr
    of = json.loads(result.stdout)["domains"]["fluid_dynamics"]
    assert 0 < of["noise_ceiling"] < 1
    assert of["frames"] == 20


def test_out_writes_a_folder_atlas_that_is_the_same_again(home: Path, tmp_path: Path) -> None:
    arguments = ["--kind", "perturbation", "--sequences", "2", "--steps", "3", "--scale", "16"]
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        assert invoke(*arguments, "--out", str(folder)).exit_code == 0
    one, other = ({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.npy")} for folder in folders)
    assert one == other
    assert len(one) == 6
    atlas = EnergyAtlasLoader(folders[0])
    energy, metadata = atlas.load_map("fluid_dynamics", "perturbation-0-0001/0002")
    assert energy.shape == (16, 16)
    assert [done["name"] for done in metadata.perturbations] == ["gaussian_noise", "thermal_blur"]
    assert not home.exists()


def test_all_are_the_registered_domains() -> None:
    said = json.loads(invoke("--all", "--plan", "--json").stdout)
    assert set(said["domains"]) == set(CONFIGS)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--scale", "33"], "multiple of 8"),
        (["--domain", "surface_temperature"], "fluid_dynamics"),
        (["--set", "colour=3"], "colour"),
        (["--set", "viscosity=.2,.1"], "viscosity"),
        (["--set", "dt"], "NAME=VALUE"),
        (["--set", "dt=slow"], "a number for dt"),
        (["--dry-run", "--out", "x"], "--out, --dry-run"),
        (["--plan", "--detach"], "--plan, --detach"),
        (["--all", "--domain", "fluid_dynamics"], "--domain, --all"),
        (["--preset", "seeds"], "preset of kind pde"),
        (["--kind", "perturbation", "--preset", "native"], "preset of kind perturbation"),
        (["--kind", "perturbation", "--preset", "seeds", "--scale", "64"], "twice"),
        (["--kind", "perturbation", "--set", "viscosity=1"], "viscosity"),
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
    plain = json.loads(invoke("--plan", "--json").stdout)["domains"]["fluid_dynamics"]
    varied = json.loads(invoke("--plan", "--json", "--set", "dt=4.2", "--set", "viscosity=.1,.2").stdout)
    assert not set(plain["sequences"]) & set(varied["domains"]["fluid_dynamics"]["sequences"])


def test_help_has_an_example() -> None:
    assert "fieldgraph generate --kind pde --all" in invoke("--help").stdout


def test_the_seeds_preset_is_250_maps_of_256_squared() -> None:
    said = json.loads(invoke("--kind", "perturbation", "--preset", "seeds", "--plan", "--json").stdout)
    assert len(said["domains"]) == 5
    assert sum(of["frames"] for of in said["domains"].values()) == 250
    assert all(of["energy_bytes"] == 50 * 256 * 256 * 4 for of in said["domains"].values())
