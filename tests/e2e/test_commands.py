"""Train, predict, evaluate and runs from the command line, without any worker beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from graph.queries import timeline
from resolvers.services.context import Services
from resolvers.services.version import code_version
from tests.e2e.conftest import environment
from tests.resolvers.carried import ingest_carried

pytestmark = pytest.mark.db


def _fieldgraph(services: Services, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-c", "from resolvers.cli import main; main()", *arguments, "--json"]
    ended = subprocess.run(command, env=environment(services.settings), capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout)
    return result


async def test_train_predict_evaluate(services: Services) -> None:
    (sequence, *_) = await ingest_carried(services, sequences=3)
    code = code_version.__wrapped__()
    trained = _fieldgraph(services, "train", "--domain", "fluid_dynamics", "--model", "ridge")
    assert trained["val_fidelity"] > 0.9
    again = _fieldgraph(services, "train", "--domain", "fluid_dynamics", "--model", "ridge")
    if code_version.__wrapped__() != code:
        pytest.skip("the numerics' source changed meanwhile: what was trained again is another model")
    assert again == trained
    (frame,) = await timeline.frames(services.gateway, sequence, 9, 9)
    predicted = _fieldgraph(services, "predict", frame.uid, "--checkpoint", trained["checkpoint"], "--steps", "2")
    assert [step["lead"] for step in predicted["steps"]] == [1, 2]
    assert predicted["steps"][0]["fidelity"] > 0.9
    scored = _fieldgraph(services, "evaluate", trained["checkpoint"], "--from", "0", "--to", "20")
    assert scored["fidelity"]["pooled"] > 0.9
    assert scored["baselines"]["persistence"]["pooled"] == 0
    listed = _fieldgraph(services, "runs", "list")["runs"]
    assert [run["kind"] for run in listed] == ["evaluation", "prediction", "training"]
    assert {run["state"] for run in listed} == {"SUCCEEDED"}
    made = _fieldgraph(services, "runs", "show", listed[2]["uid"])["model"]
    assert (made["best_checkpoint"], len(made["data_digest"])) == (trained["checkpoint"], 64)
    detached = _fieldgraph(services, "train", "--domain", "fluid_dynamics", "--model", "ridge", "--force", "--detach")
    cancelled = _fieldgraph(services, "runs", "cancel", detached["run"])
    assert cancelled["state"] == "CANCELLED"
    assert _fieldgraph(services, "runs", "show", detached["run"])["message"] == "cancelled before it started"
