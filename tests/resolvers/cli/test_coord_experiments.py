"""`fieldgraph coord NAME`: every experiment of the registry runs, says what it found, and can be drawn."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from resolvers.cli import commands
from resolvers.cli.coord_experiments import EXPERIMENTS


def called(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        commands(["coord", *arguments])
    return int(left.value.code or 0)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_experiment_has_a_module_an_example_and_a_quick_form(name: str) -> None:
    kind = EXPERIMENTS[name]
    assert find_spec(f"nvp.coordinator.experiments.{name.replace('-', '_')}")
    assert f"Example: fieldgraph coord {name} " in (kind.__doc__ or "")
    kind(**kind.quick)


def test_settings_are_options_and_what_is_found_is_one_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "landau.png"
    code = called("landau", "--quick", "--sweep", "-1", "1", "5", "--seed", "3", "--plot", str(picture), "--json")
    said = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (said["name"], said["seed"], said["verdict"]) == ("coord landau", 3, "supported")
    assert said["settings"]["sweep"] == [-1, 1, 5]
    assert said["settings"]["trials"] == 2  # of --quick
    assert {"device", "versions", "hypothesis", "effects", "arms", "checks"} <= said.keys()
    assert len(said["effects"][0]["ci95"]) == 2
    with Image.open(picture) as drawn:
        assert drawn.width > 600


def test_a_missed_check_is_exit_code_one_and_a_bad_setting_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert called("landau", "--quick", "--sweep", "0.001", "0.002", "2", "--tolerance", "0") == 1
    assert called("landau", "--b", "0") == 2
    assert "b > 0" in capsys.readouterr().err
    # told before the experiment, which would take hours
    assert called("adapters", "--trials", "10000", "--plot", "found.bmp") == 2
    assert "ends in .png, .pdf, .svg, got 'found.bmp'" in capsys.readouterr().err


def test_effects_are_drawn_where_there_is_no_other_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "percolation.png"
    assert called("percolation", "--quick", "--plot", str(picture)) == 0
    # nobody shall take a run of seconds for a finding
    assert "its figures and verdict mean little" in capsys.readouterr().out.splitlines()[0]
    with Image.open(picture) as drawn:
        assert drawn.width > 600


def test_what_was_measured_is_a_table_of_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["gating", "--quick", "--costs", "0", "--costs", "0.5", "--run-id", "mine", "--json"]
    assert called(*arguments, "--tables", str(tmp_path / "new")) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["settings"]["costs"] == [0, 0.5]
    assert "tables" not in said
    head, *rows = (tmp_path / "new" / "gates.csv").read_text("utf-8").splitlines()
    assert head.split(",")[:4] == ["run_id", "cost", "trial", "net"]
    assert len(rows) == 2 * said["settings"]["trials"]
    assert {row.split(",")[0] for row in rows} == {"mine"}
