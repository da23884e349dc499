"""Train, predict, evaluate and runs from the command line, without any worker beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from graph.queries import timeline
from resolvers.services.context import Services
from resolvers.services.ingest import ingest_series
from tests.e2e.conftest import environment
from tests.resolvers.carried import carried, ingest_carried

pytestmark = pytest.mark.db


def _fieldgraph(services: Services, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-c", "from resolvers.cli import main; main()", *arguments, "--json"]
    ended = subprocess.run(command, env=environment(services.settings), capture_output=True, text=True, timeout=480)
    assert ended.returncode == 0, ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout)
    return result


async def test_train_predict_evaluate(services: Services) -> None:
    (sequence, *_) = await ingest_carried(services, sequences=3)
    trained = _fieldgraph(services, "train", "--domain", "fluid_dynamics", "--model", "ridge")
    assert trained["val_fidelity"] > 0.9
    again = _fieldgraph(services, "train", "--domain", "fluid_dynamics", "--model", "ridge")
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


async def test_a_network_is_trained_and_scored_on_a_domain_it_never_saw(services: Services) -> None:
    """`evaluate --leave-out` and `--horizon`, with a network that was really trained."""
    await ingest_carried(services, sequences=3, frames=12)
    for seed in range(3):
        series = replace(carried(frames=12, seed=10 + seed), domain="plasma_physics")
        await ingest_series(services, series, source=f"p-{seed}", recipe={}, generator="carried", label="Simulated")
    left_out = ("--leave-out", "fluid_dynamics", "--epochs", "8")
    scored = _fieldgraph(
        services, "evaluate", *left_out, "--horizon", "3", "--rollouts", "2", "--drift", "4", "--seed", "0"
    )
    assert scored["learnt_from"] == "all but fluid_dynamics: plasma_physics"
    assert scored["trained_on"] == 0
    assert scored["baselines"]["persistence"]["pooled"] == 0
    assert scored["baselines"]["ridge"] is None
    assert scored["fidelity"]["pooled"] > 0.1
    leads = [one for forcing in ("frozen", "recorded") for one in scored["rollout"] if one["forcing"] == forcing]
    assert [one["lead"] for one in leads] == [1, 2, 3, 1, 2, 3]
    assert {one["baselines"]["persistence"]["pooled"] for one in leads} == {0}
    assert all(one["fidelity"]["pooled"] > 0 for one in leads)
    assert scored["conservation"]["residual"] < 1e-5
    assert scored["drift"] is not None
