"""`fieldgraph plot` of a file, which needs no server, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from resolvers.cli import plot


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of 10 frames; a home in which nothing may appear."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "heat.npy", rng.uniform(1, 2, (10, 16, 24)).astype(np.float32))
    np.save(tmp_path / "signed.npy", rng.normal(size=(10, 16, 24)).astype(np.float32))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIELDGRAPH_HOME", str(tmp_path / "home"))
    return tmp_path


def invoke(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(plot.command)
    return CliRunner().invoke(app, list(arguments))


def test_a_file_is_drawn_here_without_a_server(folder: Path) -> None:
    result = invoke("heat.npy")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == "film: heat-film.png"
    with Image.open(folder / "heat-film.png") as image:
        assert image.width > 600
    assert sorted(each.name for each in folder.iterdir()) == ["heat-film.png", "heat.npy", "signed.npy"]


def test_all_pictures_as_one_json_object(folder: Path) -> None:
    said = json.loads(invoke("heat.npy", "--what", "all", "--out", "run.png", "--json").stdout)
    assert [one["what"] for one in said["pictures"]] == ["film", "spectrum", "budget", "entropy"]
    assert [one["path"] for one in said["pictures"]] == [f"run-{one['what']}.png" for one in said["pictures"]]
    assert all((folder / one["path"]).is_file() for one in said["pictures"])
    # of a signed field what there is to say of one
    said = json.loads(invoke("signed.npy", "--what", "all", "--json").stdout)
    assert [one["what"] for one in said["pictures"]] == ["film", "spectrum"]


def test_first_last_and_every_choose_the_frames(folder: Path) -> None:
    said = json.loads(invoke("heat.npy", "--first", "2", "--last", "8", "--every", "3", "--json").stdout)
    assert said["pictures"][0]["frames"] == 3
    said = json.loads(invoke("heat.npy", "--first", "2", "--last", "8", "--out", "heat.gif", "--json").stdout)
    assert said["pictures"][0]["frames"] == 7
    with Image.open(folder / "heat.gif") as image:
        assert image.n_frames == 7
    said = json.loads(invoke("heat.npy", "--what", "entropy", "--last", "4", "--json").stdout)
    assert said["pictures"][0]["frames"] == 5


def test_a_recipe_and_other_variables_of_a_file(folder: Path) -> None:
    rng = np.random.default_rng(0)
    u, v, heat = (rng.normal(size=(4, 16, 16)).astype(np.float32) for _ in range(3))
    np.savez(folder / "flow.npz", u=u, v=v, heat=heat)
    arguments = ("flow.npz", "--energy", "kinetic = 0.5*(u**2 + v**2)", "--context", "heat")
    result = invoke(*arguments, "--what", "all", "--json")
    assert result.exit_code == 0, result.stderr
    assert len(json.loads(result.stdout)["pictures"]) == 4


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "got none"),
        (["heat.npy", "--prediction", "9c1e"], "SEQUENCE and --prediction"),
        (["none.npy"], "none.npy"),
        (["heat.npy", "--out", "heat.jpg"], ".png, .gif, .mp4"),
        (["heat.npy", "--what", "budget", "--out", "heat.gif"], "Only films move"),
        (["heat.npy", "--out", "none/heat.png"], "folder"),
        (["heat.npy", "--first", "10"], "0 to 9"),
        (["heat.npy", "--context", "velocity"], "velocity"),
        (["heat.npy", "--domain", "no_such_domain"], "fluid_dynamics"),
        (["signed.npy", "--domain", "fluid_dynamics"], "at least 0"),
        (["signed.npy", "--what", "entropy"], "signed"),
    ],
)
def test_bad_use_is_one_line_exit_2_and_no_picture(arguments: list[str], word: str, folder: Path) -> None:
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert word in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert sorted(each.name for each in folder.iterdir()) == ["heat.npy", "signed.npy"]
