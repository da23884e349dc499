"""`fieldgraph ace` as a user meets it; no database, no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from resolvers.ace.claims import Claim
from resolvers.cli.ace import app

SENTENCE = "on plasma the tiny model keeps fidelity above 0.4"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def said(*arguments: str, code: int = 0) -> Any:
    result = invoke(*arguments, "--json")
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def scores(path: Path, values: list[str], *, ridge: str = "0.1") -> str:
    rows = ["sequence,lead 1,beats ridge", *(f"s{number},{value},{ridge}" for number, value in enumerate(values))]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return str(path)


def test_a_sentence_becomes_a_claim() -> None:
    found = said("parse", SENTENCE)
    assert found["parsed"] is True
    claim = Claim.from_json(found["claim"])
    assert (claim.domain, claim.model, claim.threshold) == ("plasma_physics", "tiny", 0.4)
    assert found["key"] == claim.key()
    assert "fidelity > 0.4, plasma_physics, tiny, lead 1" in invoke("parse", SENTENCE).stdout


def test_what_is_vague_is_asked_back() -> None:
    found = said("parse", "the model is good", code=2)
    assert found["parsed"] is False
    assert found["question"].endswith("?")
    assert "fidelity above 0.9" in found["options"]
    people = invoke("plan", "the model is good")
    assert people.exit_code == 2
    assert people.stdout == ""
    assert found["question"] in people.stderr


def test_a_plan() -> None:
    found = said("plan", f"{SENTENCE} for 2 steps", "--expect", "0.5", "--spread", "0.05", "--sequences", "30")
    assert [part["name"] for part in found["sub_hypotheses"]] == ["lead 1", "lead 2", "beats ridge"]
    assert found["sub_hypotheses"][2]["against"] == "ridge"
    assert all(part["null"] for part in found["sub_hypotheses"])
    assert found["expected"]["power"] > 0.99
    assert found["test"]["sequences"] == 30
    text = invoke("plan", SENTENCE, "--sequences", "5").stdout
    assert "null: at lead 1" in text
    assert "but 5 sequences cannot decide it: 8 are the fewest." in text


@pytest.mark.parametrize(
    "options", [("--expect", "0.5"), ("--alpha", "0.9"), ("--power", "2"), ("--expect", "0.5", "--spread", "0")]
)
def test_plans_that_make_no_sense(options: tuple[str, ...]) -> None:
    result = invoke("plan", SENTENCE, *options)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: expected")


def test_scores_are_judged(tmp_path: Path) -> None:
    path = scores(tmp_path / "scores.csv", ["0.5", "", *["0.6"] * 20])
    found = said("judge", SENTENCE, "--scores", path, "--prior", "0.4")
    assert found["verdict"] == "supported"
    assert found["cited"] == [f"s{number}" for number in range(9)]
    assert found["prior"] == 0.4 < found["credence"]
    assert found["interval"][0] > 0.4
    assert found["next"]
    # the threshold on the other side of what was measured
    refuted = said("judge", SENTENCE.replace("0.4", "0.7"), "--scores", path, code=1)
    assert refuted["verdict"] == "refuted"
    people = invoke("judge", SENTENCE, "--scores", path).stdout
    assert people.startswith("supported: “on plasma_physics the tiny model keeps fidelity above 0.4")
    assert "next: " in people


def test_a_headline_that_differs_leaves_it_open(tmp_path: Path) -> None:
    path = scores(tmp_path / "scores.csv", ["0.6"] * 20)
    found = said("judge", SENTENCE, "--scores", path, "--headline", "lead 1=0.3")
    assert found["verdict"] == "undetermined"
    assert found["findings"][0]["headline"] == 0.3


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (None, (), "expected a .csv file"),
        ("sequence,lead 1\ns0,0.5\n", (), "got none called beats ridge"),
        ("", (), "got none called sequence"),
        ("sequence,lead 1,beats ridge\ns0,high,0.1\n", (), "expected a number for lead 1, got 'high'"),
        ("sequence,lead 1,beats ridge\n", ("--headline", "lead 9=1"), "expected NAME=VALUE"),
        ("sequence,lead 1,beats ridge\n", ("--prior", "1"), "expected a prior"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, table: str | None, options: tuple[str, ...], message: str) -> None:
    path = tmp_path / "scores.csv"
    if table is not None:
        path.write_text(table, encoding="utf-8")
    result = invoke("judge", SENTENCE, "--scores", str(path), *options)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.fixture
def fields(tmp_path: Path) -> dict[str, str]:
    """A state, two members that agree and a liar, all of the same total."""
    rng = np.random.default_rng(0)
    origin, change = rng.uniform(1, 2, (8, 8)), rng.normal(0, 0.2, (8, 8))
    change -= change.mean()
    made = {"origin": origin, "a": origin + change, "b": origin + 0.9 * change, "liar": origin - change}
    for name, field in made.items():
        np.save(tmp_path / f"{name}.npy", field)
    return {name: str(tmp_path / f"{name}.npy") for name in made} | {"total": str(origin.sum())}


def test_members_vote(tmp_path: Path, fields: dict[str, str]) -> None:
    out = tmp_path / "agreed.npy"
    options = ("--origin", fields["origin"], "--total", fields["total"])
    found = said("vote", fields["a"], fields["liar"], fields["b"], *options, "--out", str(out))
    assert found["consensus"] is True
    assert (found["agreeing"], found["dissenting"]) == ([0, 2], [1])
    assert np.load(out).sum() == pytest.approx(float(fields["total"]))
    nobody = said("vote", fields["a"], fields["liar"], *options, code=1)
    assert (nobody["consensus"], nobody["agreeing"]) == (False, [0])


def test_files_that_cannot_vote(tmp_path: Path, fields: dict[str, str]) -> None:
    np.save(tmp_path / "small.npy", np.ones((4, 4)))
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    (tmp_path / "text.npy").write_text("no array", encoding="utf-8")
    for name, message in (
        ("small.npy", "got another in small.npy"),
        ("words.npy", "expected numbers of axes"),
        ("text.npy", "expected a .npy file"),
        ("none.npy", "expected a .npy file"),
    ):
        result = invoke("vote", fields["a"], str(tmp_path / name), "--origin", fields["origin"])
        assert result.exit_code == 2
        assert message in result.stderr
