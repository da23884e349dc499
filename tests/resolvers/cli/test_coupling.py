"""`fieldgraph coord` on the graph that docs/coordinator.md draws."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from graph.gateway import Gateway
from graph.queries import runs
from graph.settings import Settings
from nvp.atlas.store import ArrayStore
from resolvers.cli import coord
from resolvers.services import expansion, relaxation
from resolvers.services.context import Services
from resolvers.task import Task

pytestmark = pytest.mark.db

GUIDE = Path(__file__).parents[3] / "docs/coordinator.md"
EXPERIMENTS = GUIDE.with_name("experiments.md")


def statements() -> list[str]:
    """The guide's Cypher: a graph, one of hypotheses, and three questions."""
    return re.findall(r"```cypher\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)


async def test_what_the_guide_draws_is_shown_relaxed_replayed_and_plotted(
    gateway: Gateway, settings: Settings, environment: dict[str, str], tmp_path: Path
) -> None:
    async def invoke(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, coord.app, list(arguments), env=environment)

    draw, _, ask, gates, happened = statements()
    await gateway.write(cast("Any", draw))
    shown = json.loads((await invoke("show", "storm", "--eta", "claim=0.9", "--json")).stdout)
    assert (shown["keys"], shown["eta"]) == (["claim", "experiment", "rival"], [0.9, 0.5, 0.5])
    # by hand: 2·0.2² + 1·0.1² of the claims, 0.2·0.25 + 0.3·0.0625 − 0.05·0.5 of the gate, 1.5·0.4² − 0.6·0.5 between
    assert shown["energy"] == pytest.approx(0.08 + 0.01 + 0.04375 + 0.24 - 0.3)

    async def worked(*arguments: str, by: Any) -> runs.RunRow:
        queued = json.loads((await invoke(*arguments, "--detach", "--json")).stdout)
        services = Services(settings=settings, gateway=gateway, store=ArrayStore(settings.store))
        claim = {"capability": "interactive", "worker": "test", "lease_seconds": 60, "only": queued["run"]}
        (row,) = await runs.claim(gateway, **claim)
        await runs.transition(gateway, row.uid, "LEASED", "RUNNING", row.lease_token)
        await by(services, row, Task(gateway, row))
        await runs.transition(gateway, row.uid, "RUNNING", "SUCCEEDED", row.lease_token)
        return row

    row = await worked("relax", "storm", "--write-back", by=relaxation.execute)

    ((settled,),) = [[one["settled"] for one in await gateway.read(cast("Any", ask))]]
    eta = dict(settled)
    # the claims cannot both be had: each gives way, the one with less evidence more
    assert 0.6 < eta["claim"] < 0.7
    assert eta["rival"] - 0.6 < eta["claim"] - 0.7 < 0
    assert eta["experiment"] > 0.6

    (decided,) = await gateway.read(cast("Any", gates))
    assert (decided["gate"], decided["opened"]) == ("experiment", True)
    events = json.loads((await invoke("events", "storm", "--json")).stdout)["events"]
    assert {(each["event"], each["source"]) for each in events} == {("MOVED", row.uid)}
    assert len(await gateway.read(cast("Any", happened))) == len(events) == 3

    again = await invoke("replay", row.uid, "--json")
    assert (again.exit_code, json.loads(again.stdout)["identical"]) == (0, True)
    # an altered trail is told
    await gateway.write("MATCH (s:RelaxationStep {run: $run, index: 1}) SET s.energy = s.energy + 1e-15", run=row.uid)
    again = await invoke("replay", row.uid)
    assert (again.exit_code, again.stdout.split(":")[0].endswith("steps differ")) == (1, True)

    drawn = await invoke("plot", row.uid, "--out", str(tmp_path / "storm.png"))
    assert drawn.exit_code == 0, drawn.stderr
    with Image.open(tmp_path / "storm.png") as picture:
        assert picture.size == (1050, 990)

    (glance,) = re.findall(r"```cypher\n(.*?)```", EXPERIMENTS.read_text("utf-8"), re.DOTALL)
    (row_of_all,) = await gateway.read(cast("Any", glance))
    assert (row_of_all["graph"], row_of_all["runs"]) == ("storm", 1)
    assert row_of_all["fall"] > 0

    table = tmp_path / "storm.csv"
    written = json.loads((await invoke("export", row.uid, "--csv", str(table), "--run-id", "mine", "--json")).stdout)
    lines = table.read_text("utf-8").splitlines()
    assert (len(lines) - 1, lines[1].split(",")[0]) == (written["rows"], "mine")
    assert {"eta:claim", "energy:coup:sum_hinge", "grad_norm:local:gating"} <= set(written["columns"])
    assert {"agm:state", "uncertainty:total", "S", "margin:global", "cost:coup:sum_hinge"} <= set(written["columns"])
    refused = await invoke("plot", row.uid, "--out", str(tmp_path / "storm.bmp"))
    assert (refused.exit_code, "ends in .png, .pdf, .svg" in refused.stderr) == (2, True)
    # from the graph and from the table, which needs none: the same picture
    pictures = []
    for number, source in enumerate((row.uid, str(table))):
        out = tmp_path / f"budget{number}.png"
        told = await invoke("budget", source, "--metric", "share", "--smooth", "2", "--out", str(out), "--json")
        said = json.loads(told.stdout)
        assert sum(said["last"].values()) == pytest.approx(1)
        pictures.append({key: said[key] for key in ("steps", "terms", "last")})
        assert out.exists()
    assert pictures[0] == pictures[1]

    # the guide's candidate is worth having, and is written
    (proposed,) = re.findall(r"```json\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "new.json").write_text(proposed)
    options = ("--candidates", str(tmp_path / "new.json"), "--gamma", "0.01", "--apply")
    await worked("expand", "storm", *options, by=expansion.execute)
    shown = json.loads((await invoke("show", "storm", "--json")).stdout)
    assert (shown["keys"], shown["version"]) == (["claim", "experiment", "radar", "rival"], 1)


async def test_hypotheses_of_the_guide_pull_at_each_other(
    gateway: Gateway, environment: dict[str, str], tmp_path: Path
) -> None:
    async def invoke(*arguments: str) -> dict[str, Any]:
        left = await asyncio.to_thread(CliRunner().invoke, coord.app, [*arguments, "--json"], env=environment)
        assert left.exit_code == 0, left.stderr
        said: dict[str, Any] = json.loads(left.stdout)
        return said

    await gateway.write(cast("Any", statements()[1]))
    shown = await invoke("show", "front", "--eta", "a front passes=1", "--eta", "it stays calm=0")
    # 9 pieces of evidence for 9/11, 3 for 3/5, 5 for 4/7
    wells = 9 * (0.5 - 9 / 11) ** 2 + 3 * (1 - 3 / 5) ** 2 + 5 * (4 / 7) ** 2
    assert {name: energy for name, energy, _ in shown["terms"]} == pytest.approx(
        {"local:hypothesis": wells, "coup:supports": 0.0, "coup:contradicts": 0.0}
    )
    # one observation more, and the same state has another energy: the evidence is in the graph
    await gateway.write(
        "MATCH (h:Hypothesis {uid: 'front-passes'}) CREATE (h)-[:SUPPORTED_BY {weight: 1.0}]->(:Observation)"
    )
    more = await invoke("show", "front", "--eta", "a front passes=1", "--eta", "it stays calm=0")
    wells += 4 * (1 - 4 / 6) ** 2 - 3 * (1 - 3 / 5) ** 2
    assert more["terms"][0][1] == pytest.approx(wells)

    queued = await invoke("sweep", "front", "--axis", "start.it stays calm=0:1:3", "--axis", "gamma=0,1", "--detach")
    again = await invoke("sweep", "front", "--axis", "start.it stays calm=0:1:3", "--axis", "gamma=0,1", "--detach")
    assert queued == again
    config = (await runs.run(gateway, queued["run"])).config
    assert [axis["values"] for axis in config["axes"]] == [[0, 0.5, 1], [0, 1]]

    candidates = tmp_path / "new.json"
    candidates.write_text(json.dumps([{"key": "w", "module": {"kind": "hypothesis", "params": {"supporting": 6}}}]))
    queued = await invoke("expand", "front", "--candidates", str(candidates), "--tau", "0.1", "--detach")
    row = await runs.run(gateway, queued["run"])
    assert (row.kind, row.config["tau"], row.config["apply"]) == ("expansion", 0.1, False)


async def test_a_graph_that_is_not_there_is_told_with_those_that_are(
    gateway: Gateway, environment: dict[str, str]
) -> None:
    async def told() -> str:
        return (await asyncio.to_thread(CliRunner().invoke, coord.app, ["show", "strom"], env=environment)).stderr

    assert "no CouplingGraph with name 'strom'" in (none := await told())
    assert "there is none yet." in none
    await gateway.write(cast("Any", statements()[0]))
    assert "there is storm." in await told()


async def test_bad_use_is_one_line(gateway: Gateway, environment: dict[str, str]) -> None:
    for arguments in (
        ["show", "nowhere"],
        ["relax", "nowhere", "--set", "mode"],
        ["relax", "nowhere", "--eta", "claim"],
        ["replay", "no-run"],
        ["plot", "no-run"],
        ["sweep", "nowhere", "--axis", "gamma=0:1"],
        ["sweep", "nowhere", "--axis", "gamma=0,1"],
        ["expand", "nowhere", "--candidates", str(GUIDE)],
        ["events", "nowhere"],
        ["residuals", "no-prediction", "--name", "laws"],
        ["export", "no-run"],
        ["budget", "no-run"],
        ["budget", "no-table.csv"],
    ):
        left = await asyncio.to_thread(CliRunner().invoke, coord.app, arguments, env=environment)
        assert (left.exit_code, left.stdout, left.stderr.count("\n")) == (2, "", 1), left.stderr
