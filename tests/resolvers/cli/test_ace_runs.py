"""`fieldgraph ace run` before it needs a graph, and what it tells people of what it found."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from resolvers.ace.claims import Claim
from resolvers.cli.ace import app
from resolvers.cli.ace_runs import WIDTH, picture, told

CLAIM = Claim(metric="fidelity", comparator=">", threshold=0.5, domain="fluid_dynamics")


TRAINED = {"members": 3, "size": "tiny", "steps": 60, "batch": 4}


def finding(**changes: Any) -> dict[str, Any]:
    given = {"name": "lead 1", "role": "necessary", "decision": "supported", "median": 0.7, "interval": [0.6, 0.9]}
    return {**given, "on_its_side": 8, "n": 8, **changes}


def found(**changes: Any) -> dict[str, Any]:
    verdict = {
        "verdict": "supported",
        "reading": "it holds.",
        "findings": [finding(), finding(name="beats ridge", role="control")],
        "prior": 0.5,
        "credence": 0.98,
        "caveats": ["a caveat."],
    }
    given = {
        "sentence": CLAIM.sentence(),
        "run": "r",
        "state": "SUCCEEDED",
        "claim": CLAIM.to_json(),
        "finding": verdict,
        "ensemble": {"abstention": 0.25, "ensemble": 0.0, "single": 0.5, "trained": TRAINED},
        "spent": {"joules": {"estimated: 10 W × CPU seconds": 321.0}, "seconds": 40.0},
        "budget": "5000J",
        "certificate": {"number": 3, "digest": "d" * 64},
        "no_certificate": [],
        "next": [{"uid": "h", "sentence": "something sharper"}],
        "stages": [],
    }
    return given | changes


def test_a_vague_sentence_is_asked_back_without_a_graph() -> None:
    result = CliRunner().invoke(app, ["run", "the model is good", "--json"])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["question"].startswith("How much is 'good'")


def test_people_read_the_verdict_and_what_it_rests_on() -> None:
    text = told(found())
    for part in (
        "supported: it holds.",
        "beats ridge, 8 of 8 on its side",
        "credence 0.5 → 0.98",
        "but a caveat.",
        "ensemble: 3 tiny networks after 60 steps, silent at 25 % of the starts",
        "starts; 0 % of what it accepts is wrong, of one member as often silent 50 %",
        "spent 321 J (estimated: 10 W × CPU seconds) of 5000J, 40 s",
        f"certificate 3: {'d' * 64}",
        "next: something sharper",
    ):
        assert part in text
    assert "no certificate: the budget" in told(found(certificate=None, no_certificate=["the budget of 5J is gone"]))


def test_an_experiment_that_goes_on_shows_its_stages() -> None:
    stages = [{"name": "plan", "round": 2, "state": "DONE", "said": "8 sequences are there."}]
    assert " 2 plan      done     8 sequences are there." in told(found(finding=None, stages=stages))


def test_the_interval_is_drawn_with_its_threshold() -> None:
    line = picture(finding(), CLAIM).splitlines()[1].strip()
    assert line.index("│") < line.index("├") < line.index("●") < line.index("┤")
    assert len(line) <= WIDTH
    open_ended = picture(finding(interval=[None, 0.9]), CLAIM)
    assert "‹" in open_ended
    assert "nothing could be scored" in picture(finding(median=None), CLAIM)


@pytest.mark.parametrize("threshold", [-1.0, 0.7, 0.95])
def test_the_threshold_is_on_the_line_wherever_it_lies(threshold: float) -> None:
    claim = Claim(metric="fidelity", comparator=">", threshold=threshold, domain="fluid_dynamics")
    assert "│" in picture(finding(interval=[0.7, 0.7]), claim)
