"""`fieldgraph train --offline` and `runs import` as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from resolvers.cli import commands, train_offline
from resolvers.cli.criteria import judged
from resolvers.cli.runs import _imported
from resolvers.services.offline_import import Absent, ImportReport

FIELDGRAPH = str(Path(sys.executable).with_name("fieldgraph"))
SIMULATED = ("--simulate", "3", "--simulation", "scale=16", "--simulation", "steps=6")


def typed(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([FIELDGRAPH, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_options_that_do_not_go_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    offline = ("--offline", str(tmp_path / "bundle"))
    for options, expected in (
        (["--domain", "plasma_physics", "--data", "x"], "--data with --offline only"),
        ([*offline, "--simulate", "3"], "expected --domain with --offline"),
        ([*offline, "--domain", "plasma_physics"], "either --data or --simulate"),
        ([*offline, "--domain", "plasma_physics", "--detach"], "--detach without --offline only"),
        (["--domain", "plasma_physics", "--criteria", "--detach"], "--criteria or --detach"),
        (["--set", "batches=3"], "Did you mean batch?"),
        (["--set", "batch=3", "--batch-size", "4"], "expected batch once"),
    ):
        with pytest.raises(SystemExit) as left:
            commands.main(["train", *options], prog_name="fieldgraph")
        said = " ".join(capsys.readouterr().err.split())
        assert (left.value.code, expected in said) == (2, True), (options, said)
    assert not (tmp_path / "bundle").exists()


def test_nothing_is_simulated_for_a_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train_offline, "simulated", lambda *_: pytest.fail("simulated"))
    (tmp_path / "file").touch()
    folder = str(tmp_path / "file" / "bundle")
    with pytest.raises(SystemExit) as left:
        commands.main(["train", "--offline", folder, "--domain", "plasma_physics", *SIMULATED], prog_name="fieldgraph")
    assert left.value.code == 2
    assert "expected to write in" in capsys.readouterr().err


def test_what_is_no_bundle_starts_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FIELDGRAPH_HOME", str(tmp_path / "home"))
    with pytest.raises(SystemExit) as left:
        commands.main(["runs", "import", str(tmp_path / "none")], prog_name="fieldgraph")
    assert left.value.code == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("error: expected a bundle in")
    assert not (tmp_path / "home").exists()


@pytest.mark.db
def test_from_a_box_without_a_database_into_the_graph(tmp_path: Path, environment: dict[str, str]) -> None:
    bundle = str(tmp_path / "bundle")
    alone = {**environment, "NEO4J_URI": "bolt://127.0.0.1:1", "FIELDGRAPH_HOME": str(tmp_path / "nowhere")}
    train = ("train", "--offline", bundle, "--domain", "fluid_dynamics", "--model", "ridge", *SIMULATED)
    said = typed(*train, "--criteria", "--json", environment=alone)
    assert said.returncode == 1, said.stderr  # so small a ridge cannot meet them
    result = json.loads(said.stdout)
    assert result["criteria"]["met"] is False
    assert "3 sequences of 16×16; frames: train 6, val 6, test 6" in said.stderr
    assert "missed fidelity" in said.stderr
    assert not (tmp_path / "nowhere").exists()
    first, again = (json.loads(typed("runs", "import", bundle, "--json", environment=environment).stdout) for _ in "12")
    assert (first["run"], first["model"]) == (result["run"], result["model"])
    assert (again["created_nodes"], again["created_relationships"]) == (0, 0)


def test_one_line_for_each_command_that_brings_sequences_in() -> None:
    absent = tuple(
        Absent(uid=str(number), source="s", differs=number == 2, ingest="fieldgraph generate") for number in range(3)
    )
    report = ImportReport(
        run="r",
        model="m",
        checkpoint="c",
        split="s",
        epochs=2,
        val_fidelity=None,
        linked=(),
        absent=absent,
        created_nodes=1,
        created_relationships=2,
    )
    lines = [line for line in _imported(report).splitlines() if line.startswith("absent")]
    assert [line.split(maxsplit=1)[1] for line in lines] == [
        "2 sequences not in the graph: fieldgraph generate",
        "1 sequence with other frames in the graph: fieldgraph generate",
    ]


def test_criteria_are_those_that_apply() -> None:
    scores = {"fidelity": {"pooled": 0.91, "n": 7}, "metrics": {"nrmse": {"model": 0.05, "persistence": 0.2}}}
    found = judged(scores)
    assert (found.met, found.n, [one.name for one in found.each]) == (True, 7, ["fidelity", "nrmse"])
    assert not judged({"fidelity": {"pooled": None, "n": 0}}).met
    assert not judged({"fidelity": {"pooled": 0.9, "n": 1}}).met
