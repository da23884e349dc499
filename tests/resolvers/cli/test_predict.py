"""`fieldgraph predict` starts from a snapshot, or from a frame that is named by its sequence and time."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from graph.errors import GraphError
from graph.gateway import Gateway
from graph.queries import sequences, timeline
from resolvers.cli import predict
from resolvers.cli.predict import _frame, _text
from resolvers.services.context import Services
from tests.graph.queries import builders


@pytest.mark.parametrize(("start", "got"), [([], "neither"), (["4b0f", "--sequence", "9c1e"], "both")])
def test_one_start_is_needed(start: list[str], got: str) -> None:
    app = typer.Typer()
    app.command()(predict.command)
    result = CliRunner().invoke(app, ["--checkpoint", "x", *start])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"got {got}" in result.stderr


@pytest.mark.db
async def test_a_frame_by_its_time(services: Services, gateway: Gateway) -> None:
    await sequences.upsert_domain(gateway, builders.DOMAIN)
    await builders.ingest(gateway, 0, 5)
    (row,) = await timeline.sequences_of_domain(gateway, "plasma")
    uids = [frame.uid for frame in await timeline.frames(gateway, row.uid, 0, 4)]
    assert await _frame(services, row.uid, None) == uids[4]
    assert await _frame(services, row.uid, "2") == uids[2]
    with pytest.raises(GraphError, match="from 0 to 4"):
        await _frame(services, row.uid, "5")


def test_broken_laws_are_shown() -> None:
    broken = {"law": "energy", "lead": 2, "member": None, "value": 1e-3, "limit": 1e-5}
    result = {
        "prediction": "p",
        "start": "s",
        "steps": [],
        "violations": [broken, broken | {"law": "negative", "member": 3, "value": None, "limit": 0.0}],
    }
    assert _text(result).splitlines()[2:] == [
        "law of energy broken at lead 2: 0.001, allowed 1e-05",
        "law of negative broken at lead 2 of member 3: not finite, allowed 0",
    ]


def test_scores_are_shown_where_the_truth_is_known() -> None:
    step = {"lead": 1, "t": 2.1, "valid_time": None, "snapshot": "6857"}
    result = {"prediction": "p", "start": "s", "steps": [step | {"fidelity": 0.9, "vrmse": 0.25}, step | {"lead": 2}]}
    _, _, first, second = _text(result).splitlines()
    assert first.split() == ["1", "2.1", "0.9000", "0.2500", "6857"]
    assert second.split() == ["2", "2.1", "–", "–", "6857"]
