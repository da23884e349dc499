"""Two runs side by side: only what differs, only numbers that both have, only joules of one kind."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from graph.gateway import Gateway
from graph.queries import runs
from resolvers.services.comparing import _energy, compared
from tests.graph.queries import builders

pytestmark = pytest.mark.db
FIELDGRAPH = str(Path(sys.executable).with_name("fieldgraph"))

MAKE = """
MATCH (r:Run {uid: $uid})
CREATE (m:Model {uid: 'model of ' + r.uid, best_checkpoint: 'best of ' + r.uid})-[:WAS_GENERATED_BY]->(r)
CREATE (:Checkpoint {uid: 'best of ' + r.uid, sha256: r.uid, val_fidelity: $fidelity})-[:WAS_GENERATED_BY]->(r)
CREATE (:Checkpoint {uid: 'first of ' + r.uid, sha256: r.uid, val_fidelity: -9.0})-[:WAS_GENERATED_BY]->(r)
"""


async def made(gateway: Gateway, fidelity: float | None, **changes: Any) -> str:
    """A training that has ended, with the best of its two checkpoints."""
    spent = {name: changes.pop(name) for name in ("energy_joules", "energy_source") if name in changes}
    run = await builders.started(gateway, **changes)
    if fidelity is not None:
        await gateway.write(MAKE, uid=run.uid, fidelity=fidelity)
    await runs.transition(gateway, run.uid, "RUNNING", "SUCCEEDED", run.lease.token, device="cpu", **spent)
    return run.uid


async def test_what_differs_and_what_came_of_it(gateway: Gateway) -> None:
    settings = {"epochs": 3, "settings": {"rate": 0.1, "batch": 8}}
    one = await made(gateway, 0.5, config=settings, energy_joules=10.0, energy_source="measured: RAPL")
    other = await made(
        gateway, 0.75, config={"epochs": 3, "settings": {"rate": 0.2, "batch": 8}, "loss": "l1"}, rng_seed=4,
        energy_joules=30.0, energy_source="measured: RAPL",
    )  # fmt: skip
    found = await compared(gateway, one, other)
    assert found["parameters"] == {
        "config.loss": [None, "l1"], "config.settings.rate": [0.1, 0.2], "rng_seed": [0, 4]
    }  # fmt: skip
    assert found["same_parameters"] == 5  # kind, code, epochs, batch, inputs (none)
    assert found["metrics"]["checkpoint val_fidelity"] == {"values": [0.5, 0.75], "n": [1, 1], "difference": 0.25}
    assert found["energy"] == {"comparable": True, "why": "measured: RAPL", "difference": 20.0, "ratio": 3.0}
    assert [run["device"] for run in found["runs"]] == ["cpu", "cpu"]


@pytest.mark.parametrize(
    ("joules", "source", "why"),
    [(5.0, "estimated: 10 W × CPU seconds", "measured: RAPL beside estimated"), (None, None, "not known of both")],
)
async def test_unlike_energies_are_not_compared(gateway: Gateway, joules: Any, source: Any, why: str) -> None:
    one = await made(gateway, 0.5, energy_joules=10.0, energy_source="measured: RAPL")
    other = await made(gateway, None, energy_joules=joules, energy_source=source)
    found = await compared(gateway, one, other)
    assert found["energy"]["difference"] is found["energy"]["ratio"] is None
    assert why in found["energy"]["why"]
    assert found["metrics"]["checkpoint val_fidelity"] == {"values": [0.5, None], "n": [1, 0], "difference": None}


def test_energy_with_an_unknown_attempt_is_not_compared() -> None:
    def known(uid: str, unmetered: int) -> Any:
        return SimpleNamespace(
            run=SimpleNamespace(uid=uid, unmetered=unmetered, energy_joules=5.0, energy_source="measured: RAPL")
        )

    assert _energy(known("a", 0), known("b", 0))["comparable"] is True
    why = {(0, 2): "unknown of 2 of the attempts of b", (1, 0): "unknown of 1 of the attempts of a"}
    for (one, other), said in why.items():
        found = _energy(known("a", one), known("b", other))
        assert found == {"comparable": False, "why": said, "difference": None, "ratio": None}


async def test_the_command_and_the_filters(gateway: Gateway, environment: dict[str, str]) -> None:
    def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [FIELDGRAPH, "runs", *arguments], env=environment, capture_output=True, text=True, check=False
        )

    one, other = await made(gateway, 0.5, rng_seed=1), await made(gateway, 0.75, rng_seed=2)
    said = ask("compare", one, other)
    assert said.returncode == 0, said.stderr
    assert "≠ rng_seed" in said.stdout
    assert "+0.25" in said.stdout
    assert "energy: no comparison" in said.stdout
    parent = await builders.started(gateway, kind="ace", capability="orchestration")
    child = await builders.submit(gateway, parent=parent.uid)
    listed = json.loads(ask("list", "--parent", parent.uid, "--since", "2020-01-01", "--json").stdout)["runs"]
    assert [(row["uid"], row["parent"]) for row in listed] == [(child.uid, parent.uid)]
    shown = ask("show", parent.uid)
    assert f"child                  {child.uid}" in shown.stdout


async def test_lists_are_narrowed_by_time_capability_and_parent(gateway: Gateway) -> None:
    rows = [await builders.submit(gateway, capability=name) for name in ("batch", "interactive", "batch")]
    assert [row.uid for row in await runs.list_runs(gateway, capability="batch")] == [rows[2].uid, rows[0].uid]
    # Neo4j's nanoseconds are microseconds here
    at = rows[1].created_at - timedelta(microseconds=10)
    assert [row.uid for row in await runs.list_runs(gateway, since=at)] == [rows[2].uid, rows[1].uid]
    assert await runs.list_runs(gateway, since=at + timedelta(hours=1)) == []
    assert await runs.list_runs(gateway, parent=rows[0].uid) == []
