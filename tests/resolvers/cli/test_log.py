"""`fieldgraph log`: entries and sums, from this home's log and from the graph, under the same keys."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graph.queries import vector_logs
from nvp.thermo.vector_log import PLACE, Entry, VectorLog, energy_vector
from resolvers.cli import commands, log
from resolvers.services.context import Services
from tests.graph.queries import builders
from tests.graph.queries.test_outcomes import log_of, predicted


def made(seed: int, domain: str) -> Entry:
    start = 1 + np.random.default_rng(seed).random((8, 8))
    truth = np.roll(start, 1, axis=0)
    return energy_vector(0.5 * (start + truth), truth, domain, "2026-03-01T12:00", origin=start, lead=seed + 1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIELDGRAPH_HOME", str(tmp_path))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        commands(["log", *words])
    captured = capsys.readouterr()
    return int(left.value.code or 0), captured.out, captured.err


def test_entries_and_sums_of_the_log(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [made(seed, domain) for seed in range(3) for domain in ("fluid_dynamics", "plasma_physics")]
    VectorLog(path=home / PLACE).append(entries)
    code, out, _ = said(capsys, "--last", "2", "--json")
    result = json.loads(out)
    assert (code, result["n"], result["source"]) == (0, 6, str(home / PLACE))
    assert [(entry["domain"], entry["lead"]) for entry in result["entries"]] == [
        ("fluid_dynamics", 3),
        ("plasma_physics", 3),
    ]
    assert result["entries"][0]["fidelity"] == pytest.approx(0.5)

    _, out, _ = said(capsys, "--by", "domain", "--json")
    result = json.loads(out)
    assert [(group["domain"], group["n"]) for group in result["groups"]] == [
        ("fluid_dynamics", 3),
        ("plasma_physics", 3),
    ]
    assert result["groups"][0]["fidelity"]["pooled"] == pytest.approx(0.5)
    assert "regime" not in result["groups"][0]
    _, out, _ = said(capsys, "--by", "regime", "--by", "domain", "--domain", "plasma_physics", "--json")
    assert {(group["regime"], group["domain"]) for group in json.loads(out)["groups"]} == {
        (entries[1].regime, "plasma_physics")
    }


def test_what_people_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys)
    assert code == 0
    assert out.startswith("no energy vectors in ")
    assert not list(home.iterdir()), "looking leaves nothing behind"
    assert err == ""
    VectorLog(path=home / PLACE).append([made(0, "fluid_dynamics"), replace(made(1, "fluid_dynamics"), fidelity=None)])
    _, out, _ = said(capsys)
    first, second = out.splitlines()[1:3]
    assert first.split()[:5] == [
        "2026-03-01T12:00:00",
        "fluid_dynamics",
        made(0, "fluid_dynamics").regime,
        "1",
        "0.5000",
    ]
    assert second.split()[4] == "–"
    _, out, _ = said(capsys, "--by", "domain")
    assert out.splitlines()[1].split()[:3] == ["fluid_dynamics", "2", "0.5000"]


@pytest.mark.db
async def test_the_graph_says_the_same(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, checkpoint = await builders.trained(services.gateway, stop=20)
    uid = await predicted(services.gateway, checkpoint, 16)
    rows = await vector_logs.unlogged_of_prediction(services.gateway, uid)
    await vector_logs.record_logs(services.gateway, [log_of(row) for row in rows])

    @asynccontextmanager
    async def opened() -> AsyncIterator[Services]:
        yield services

    monkeypatch.setattr(log, "opened", opened)
    result: dict[str, Any] = await log._graph([], None, None, 2)
    assert (result["source"], result["n"]) == ("graph", 3)
    # the latest last
    assert [entry["lead"] for entry in result["entries"]] == [2, 3]
    entry = result["entries"][0]
    assert entry.keys() - {"uid", "predicted"} < Entry.__dataclass_fields__.keys()
    assert (entry["domain"], entry["checkpoint"]) == ("plasma", builders.sha("weights", 1))
    assert log._text(result).splitlines()[1].split()[2:5] == ["plasma", "smooth", "2"]
    sums = await log._graph(["regime"], "plasma", None, 2)
    (group,) = sums["groups"]
    assert group.keys() == {"regime"} | log.summary([made(0, "fluid_dynamics")], [])[0].keys()
    assert (group["regime"], group["n"], group["fidelity"]["n"]) == ("smooth", 3, 3)
    assert group["fidelity"]["median"] == 0.25
    assert "smooth" in log._text(sums)
    assert (await log._graph([], "nowhere", None, 2))["n"] == 0
