"""`fieldgraph coord fuzz`: one JSON object, and an exit code that says whether the guarantee held."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nvp.coordinator import fuzz
from resolvers.cli import commands


@pytest.mark.parametrize(("rises", "code"), [(0, 0), (1, 1)])
def test_the_exit_code_says_whether_the_guarantee_held(
    rises: int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(runs: int, modes: list[str], seed: int, **_: Any) -> dict[str, Any]:
        row = {"runs": runs, "rises": rises, "worse_than_start": 0}
        return {**row, "by_mode": dict.fromkeys(modes, row)}

    monkeypatch.setattr(fuzz, "fuzz", found)
    with pytest.raises(SystemExit) as left:
        commands(["coord", "fuzz", "--runs", "7", "--modes", "newton,admm", "--seed", "3", "--json"])
    assert left.value.code == code
    said = json.loads(capsys.readouterr().out)
    assert (said["runs"], said["seed"], list(said["by_mode"])) == (7, 3, ["newton", "admm"])


def test_a_mode_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        commands(["coord", "fuzz", "--modes", "annealing"])
    assert left.value.code == 2
    assert "annealing" in capsys.readouterr().err
