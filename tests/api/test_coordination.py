"""Coupling graphs by the API: written, explained, relaxed, and their trail read back."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import httpx
import pytest

from graph.queries import runs
from resolvers.services import expansion, relaxation, sweep
from tests.api.conftest import World
from tests.resolvers.services.coupling_runs import worked

pytestmark = pytest.mark.db

UPSERT = """
mutation($input: CouplingGraphInput!) { upsertCouplingGraph(input: $input) {
  __typename
  ... on CouplingGraph { name version digest deltas modules { key kind params eta } couplings { kind start end } }
  ... on Problem { code message nextStep }
} }
"""
RELAX = """
mutation($input: RelaxInput!) { relaxCouplingGraph(input: $input) {
  __typename ... on RelaxationRun { uid state } ... on Problem { code message } } }
"""
RESULT = """
query($uid: ID!) { run(uid: $uid) { kind inputs { role } ... on RelaxationRun {
  outcome { status initialEnergy energy keys eta terms deltaF90 writtenBack graphName primalResidual switches }
  steps { index energy accepted termEnergy eta objectiveVersion weights events } } } }
"""
LEDGER = """
query($uid: ID!) { run(uid: $uid) { ... on RelaxationRun {
  energyBudget { step energy terms { name energy gradientNorm } }
  gates { key opened refusal }
  gatingMetrics { gates opened endsCount hazardMean measured muHat goodBadRatio } } } }
"""
EVENTS = """
query($name: String!) { couplingGraph(name: $name) { ... on CouplingGraph {
  events(first: 10) { nodes { event key version source payload } } } } }
"""
SWEEP = """
mutation($input: SweepInput!) { sweepCouplingGraph(input: $input) {
  __typename ... on SweepRun { uid state } ... on Problem { code } } }
"""
EXPAND = """
mutation($input: ExpansionInput!) { proposeExpansion(input: $input) {
  __typename ... on ExpansionRun { uid state } ... on Problem { code } } }
"""
BENEFITS = """
mutation($run: ID!, $benefits: JSON!) { recordBenefits(run: $run, benefits: $benefits) {
  ... on RecordedBenefits { gates { key realised } } ... on Problem { code } } }
"""
GRAPH: dict[str, Any] = {
    "name": "baseline",
    "modules": [
        {"key": "a", "kind": "gating", "params": {"a": 0.2, "b": 0.3}},
        {"key": "b", "kind": "gating", "params": {"a": 0.25, "b": 0.35}},
    ],
    "couplings": [
        {"kind": "quadratic", "start": "a", "end": "b", "params": {"weight": 0.7}},
        {"kind": "gate_benefit", "start": "b", "end": "a", "params": {"weight": 0.8}, "delta": "domain"},
    ],
    "deltas": {"domain": 0.08},
}


async def ask(client: httpx.AsyncClient, document: str, **variables: Any) -> Any:
    answer = (await client.post("/graphql", json={"query": document, "variables": variables})).json()
    assert "errors" not in answer, answer
    (value,) = answer["data"].values()
    return value


async def work(world: World, uid: str, service: ModuleType = relaxation) -> None:
    await worked(world.services, service, await runs.run(world.services.gateway, uid))


async def test_write_explain_relax_and_read_back(operator: httpx.AsyncClient, world: World) -> None:
    made = await ask(operator, UPSERT, input=GRAPH)
    assert (made["__typename"], made["version"], made["deltas"]) == ("CouplingGraph", 1, {"domain": 0.08})
    assert made["modules"][0] == {"key": "a", "kind": "gating", "params": {"a": 0.2, "b": 0.3}, "eta": None}
    assert "baseline" in await ask(operator, "{ couplingGraphNames }")

    explain = """query($eta: JSON) { explain(graph: "baseline", eta: $eta) { ... on Explanation {
      energy keys eta gradient curvatureBound rowBounds margin rowMargins terms { name energy gradientNorm } }
      ... on Problem { code } } }"""
    at = await ask(operator, explain, eta={"a": 0.06039, "b": 0.07784})
    assert at["energy"] == pytest.approx(-0.00250761, abs=1e-8)
    assert max(map(abs, at["gradient"])) < 1e-4
    # wells 2a + 12b of b, and the bond on both sides
    assert at["curvatureBound"] == pytest.approx(2 * 0.25 + 12 * 0.35 + 4 * 0.7)
    assert at["rowBounds"] == pytest.approx([2 * 0.2 + 12 * 0.3 + 4 * 0.7, at["curvatureBound"]])
    # of the default step
    assert at["margin"] == pytest.approx(2 / at["curvatureBound"] - 0.05) == at["rowMargins"][1]
    assert sum(term["energy"] for term in at["terms"]) == pytest.approx(at["energy"])
    assert (await ask(operator, explain))["eta"] == [0.5, 0.5]
    assert await ask(operator, explain, eta={"z": 0.5}) == {"code": "BAD_KEY"}

    run = await ask(operator, RELAX, input={"graph": "baseline", "settings": {"mode": "newton"}, "writeBack": True})
    assert run["state"] == "QUEUED"
    before = await ask(operator, RESULT, uid=run["uid"])
    assert (before["kind"], before["outcome"], before["steps"]) == ("RELAXATION", None, [])
    await work(world, run["uid"])
    after = await ask(operator, RESULT, uid=run["uid"])
    outcome, steps = after["outcome"], after["steps"]
    assert (outcome["status"], outcome["keys"], outcome["writtenBack"]) == ("CONVERGED", ["a", "b"], True)
    assert (outcome["primalResidual"], outcome["switches"]) == (None, None)  # what Newton does not have
    assert outcome["energy"] == pytest.approx(-0.00250761, abs=1e-8)
    assert steps[0]["energy"] == outcome["initialEnergy"]
    assert [step["index"] for step in steps] == list(range(len(steps)))
    # one objective, and no adapter
    assert {(step["objectiveVersion"], *step["weights"]) for step in steps} == {(0,)}
    assert steps[0]["events"] == []
    assert (await ask(operator, explain))["eta"] == outcome["eta"]

    (second,) = (
        await ask(
            operator,
            "query($uid: ID!) { run(uid: $uid) { ... on RelaxationRun { steps(first: 1, after: 0) { index } } } }",
            uid=run["uid"],
        )
    )["steps"]
    assert second == {"index": 1}
    ledger = await ask(operator, LEDGER, uid=run["uid"])
    for row, step in zip(ledger["energyBudget"], steps, strict=True):
        assert (row["step"], row["energy"]) == (step["index"], step["energy"])
        assert [term["energy"] for term in row["terms"]] == step["termEnergy"]
        assert [term["name"] for term in row["terms"]] == outcome["terms"]
    # both gates are all but shut
    assert [(gate["key"], gate["opened"], gate["refusal"]) for gate in ledger["gates"]] == [
        ("a", False, "closed"),
        ("b", False, "closed"),
    ]
    metrics = ledger["gatingMetrics"]
    assert metrics["hazardMean"] == pytest.approx(math.log(2))
    unknown = {"muHat": None, "goodBadRatio": None}
    counted = {"gates": 2, "opened": 0, "endsCount": 0, "measured": 0}
    assert {**metrics, "hazardMean": 0} == {**counted, "hazardMean": 0, **unknown}
    moved = await ask(operator, EVENTS, name="baseline")
    assert [(each["event"], each["key"]) for each in moved["events"]["nodes"]][:2] == [("MOVED", "b"), ("MOVED", "a")]
    assert moved["events"]["nodes"][0]["payload"] == {"now": {"eta": outcome["eta"][1]}, "was": {"eta": None}}
    assert moved["events"]["nodes"][0]["version"] == 2

    watch = "subscription($run: ID!) { relaxationStep(run: $run) { index energy } }"
    request = {"query": watch, "variables": {"run": run["uid"]}}
    streamed = await operator.post("/graphql", json=request, headers={"Accept": "text/event-stream"})
    assert streamed.text.count('"relaxationStep"') == len(steps)
    # a run that has no steps says so instead of ending without a word
    lost = await ask(operator, RELAX, input={"graph": "baseline", "seed": 1})
    await ask(operator, "mutation($uid: ID!) { cancelRun(uid: $uid) { __typename } }", uid=lost["uid"])
    told = await operator.post(
        "/graphql", json={"query": watch, "variables": {"run": lost["uid"]}}, headers={"Accept": "text/event-stream"}
    )
    assert "NOT_RELAXED" in told.text
    assert "which is CANCELLED" in told.text


async def test_problems_are_told(operator: httpx.AsyncClient) -> None:
    await ask(operator, UPSERT, input={**GRAPH, "name": "other"})
    stale = await ask(operator, UPSERT, input={**GRAPH, "name": "other", "gamma": 1.0, "expectedVersion": 7})
    assert (stale["__typename"], stale["code"]) == ("Conflict", "STALE_VERSION")
    module = {"key": "a", "kind": "lindau"}
    unknown = await ask(operator, UPSERT, input={"name": "new", "modules": [module]})
    assert (unknown["__typename"], unknown["code"]) == ("InvalidInput", "UNKNOWN_KIND")
    lost = {**GRAPH, "name": "new", "deltas": {}}
    assert (await ask(operator, UPSERT, input=lost))["code"] == "MISSING_DELTA"
    bent = {**GRAPH, "name": "new", "gamma": 1.0, "weights": {"coup:quadratic": "heavy"}}
    assert (await ask(operator, UPSERT, input=bent))["code"] == "NONFINITE"
    assert "new" not in await ask(operator, "{ couplingGraphNames }")
    assert (await ask(operator, RELAX, input={"graph": "new"}))["code"] == "NOT_FOUND"
    assert (await ask(operator, RELAX, input={"graph": "other", "settings": {"mode": "magic"}}))["code"] == "BAD_CONFIG"
    steep = [{"kind": "redemption", "start": "a", "end": "b", "params": {"margin": 0.1}}]
    await ask(operator, UPSERT, input={**GRAPH, "name": "steep", "couplings": steep})
    fixed = {"graph": "steep", "settings": {"mode": "gradient", "line_search": False}}
    assert (await ask(operator, RELAX, input=fixed))["code"] == "GUARD_VIOLATED"


async def test_a_solver_says_how_far_its_copies_agree(operator: httpx.AsyncClient, world: World) -> None:
    await ask(operator, UPSERT, input={**GRAPH, "name": "copies"})
    run = await ask(operator, RELAX, input={"graph": "copies", "settings": {"mode": "admm", "steps": 200}})
    await work(world, run["uid"])
    outcome = (await ask(operator, RESULT, uid=run["uid"]))["outcome"]
    assert outcome["status"] == "CONVERGED"
    assert 0 <= outcome["primalResidual"] <= 1e-7
    assert outcome["switches"] is None


async def test_a_dry_run_explains_the_start_and_queues_nothing(operator: httpx.AsyncClient, world: World) -> None:
    await ask(operator, UPSERT, input={**GRAPH, "name": "dry"})
    rehearse = """mutation($input: RelaxInput!) { relaxCouplingGraph(input: $input) {
      __typename ... on Explanation { energy eta } ... on Problem { code } } }"""
    before = await runs.list_runs(world.services.gateway)
    said = await ask(operator, rehearse, input={"graph": "dry", "dryRun": True, "start": {"a": 0.25}})
    assert (said["__typename"], said["eta"]) == ("Explanation", [0.25, 0.5])
    bad = await ask(operator, rehearse, input={"graph": "dry", "dryRun": True, "settings": {"steps": 0}})
    assert bad["code"] == "BAD_CONFIG"
    assert await runs.list_runs(world.services.gateway) == before


async def test_sweeps_and_expansions_are_asked_for_and_read_back(operator: httpx.AsyncClient, world: World) -> None:
    await ask(operator, UPSERT, input={**GRAPH, "name": "wide"})
    asked = {
        "graph": "wide",
        "axes": [{"path": "deltas.domain", "values": [0, 0.08]}, {"path": "start.a", "values": [0, 0.5, 1]}],
        "clientKey": "grid",
    }
    run = await ask(operator, SWEEP, input=asked)
    assert (run["__typename"], run["state"]) == ("SweepRun", "QUEUED")
    assert (await ask(operator, SWEEP, input=asked))["uid"] == run["uid"]
    assert (await ask(operator, SWEEP, input={**asked, "seed": 1}))["code"] == "CLIENT_KEY_USED"
    await work(world, run["uid"], sweep)
    found = await ask(
        operator,
        """query($uid: ID!) { run(uid: $uid) { kind ... on SweepRun { outcome { points axes best }
          points(first: 2, after: 2) { index at status eta } } } }""",
        uid=run["uid"],
    )
    assert (found["kind"], found["outcome"]["points"]) == ("SWEEP", 6)
    assert [(point["index"], point["at"]) for point in found["points"]] == [(3, [0.08, 0.0]), (4, [0.08, 0.5])]
    assert found["points"][1]["eta"] == pytest.approx([0.06039, 0.07784], abs=1e-4)

    candidate = {
        "module": {"key": "new", "kind": "landau", "params": {"a": -1.0}},
        "couplings": [{"kind": "quadratic", "start": "new", "end": "b", "params": {"weight": 0.01}}],
    }
    lost = {**candidate, "couplings": [{"kind": "quadratic", "start": "new", "end": "z"}]}
    assert (await ask(operator, EXPAND, input={"graph": "wide", "candidates": [lost]}))["code"] == "BAD_INDEX"
    run = await ask(operator, EXPAND, input={"graph": "wide", "candidates": [candidate], "gamma": 0.1, "apply": True})
    await work(world, run["uid"], expansion)
    found = await ask(
        operator,
        """query($uid: ID!) { run(uid: $uid) { kind ... on ExpansionRun { outcome { gamma survivors applied version }
          candidates { key delta accepted survives parent } } } }""",
        uid=run["uid"],
    )
    assert found["outcome"] == {"gamma": 0.1, "survivors": ["new"], "applied": True, "version": 2}
    (weighed,) = found["candidates"]
    assert weighed["delta"] + 0.1 < 0
    assert (weighed["accepted"], weighed["survives"], weighed["parent"]) == (True, True, "b")


async def test_gates_that_opened_turn_out_to_be_worth_something(operator: httpx.AsyncClient, world: World) -> None:
    gates = [
        {"key": key, "kind": "gating", "params": {"net": net}, "cost": 1.0} for key, net in (("x", 0.5), ("y", 0.4))
    ]
    # x opens before y and z, and there is no budget for z
    gates.append({"key": "z", "kind": "gating", "params": {"net": 0.3}, "cost": 1.0})
    first = [{"kind": "directed_hinge", "start": "x", "end": end, "params": {"weight": 0.1}} for end in ("y", "z")]
    made = await ask(operator, UPSERT, input={"name": "gates", "modules": gates, "couplings": first, "budget": 2.0})
    assert made["__typename"] == "CouplingGraph"
    run = await ask(operator, RELAX, input={"graph": "gates"})
    await work(world, run["uid"])
    assert (await ask(operator, LEDGER, uid=run["uid"]))["gatingMetrics"]["muHat"] is None
    told = await ask(operator, BENEFITS, run=run["uid"], benefits={"x": 0.25, "y": -0.1})
    assert {each["key"]: each["realised"] for each in told["gates"]} == {"x": 0.25, "y": -0.1, "z": None}
    metrics = (await ask(operator, LEDGER, uid=run["uid"]))["gatingMetrics"]
    # one line of openings, x and then y
    assert (metrics["gates"], metrics["opened"], metrics["endsCount"], metrics["measured"]) == (3, 2, 1, 2)
    assert metrics["goodBadRatio"] == pytest.approx(1.0)
    # two openings for a gain of 0.25
    assert metrics["muHat"] == pytest.approx(8.0)
    assert (await ask(operator, BENEFITS, run=run["uid"], benefits={"none": 1.0})) == {"code": "NOT_FOUND"}


async def test_a_coupling_is_added(operator: httpx.AsyncClient) -> None:
    await ask(operator, UPSERT, input={**GRAPH, "name": "more"})
    add = """mutation($coupling: CouplingInput!) { addCoupling(graph: "more", coupling: $coupling) {
      ... on CouplingGraph { version couplings { kind } } ... on Problem { code } } }"""
    more = await ask(operator, add, coupling={"kind": "sum_hinge", "start": "a", "end": "b"})
    assert more["version"] == 2
    assert sorted(each["kind"] for each in more["couplings"]) == ["gate_benefit", "quadratic", "sum_hinge"]
    wrong = await ask(operator, add, coupling={"kind": "sum_hinge", "start": "a", "end": "z"})
    assert wrong == {"code": "BAD_INDEX"}


async def test_a_prediction_is_drawn_as_what_it_keeps_of_the_laws(operator: httpx.AsyncClient, world: World) -> None:
    draw = """mutation($prediction: ID!, $tolerance: Float!) {
      drawResiduals(prediction: $prediction, name: "laws", tolerance: $tolerance) {
        ... on CouplingGraph { version modules { key eta params term } } ... on Problem { code } } }"""
    drawn = await ask(operator, draw, prediction=world.prediction, tolerance=1.0)
    states = await world.services.gateway.read(
        """MATCH (p:Prediction {uid: $uid})-[:FROM]->(start), (d:Domain {name: p.domain})
        MATCH (p)-[link:PREDICTS]->(e) OPTIONAL MATCH (e)-[:ESTIMATES]->(t)
        RETURN d.closed AS closed, start.total_energy AS start, e.total_energy AS energy, t.total_energy AS truth,
          e.uid AS uid ORDER BY link.lead""",
        uid=world.prediction,
    )
    assert len(states) == 3
    law = [each for each in drawn["modules"] if each["term"] == "local:conservation"]
    assert [each["key"] for each in law] == ["conservation@1", "conservation@2", "conservation@3"]
    for each, state in zip(law, states, strict=True):
        should = state["start"] if state["closed"] else state["truth"]
        kept = 1 - min(1, abs(state["energy"] - should) / should)
        assert each["eta"] == pytest.approx(kept)
        assert each["params"]["target"] == pytest.approx(kept)
    linked = await world.services.gateway.read(
        "MATCH (:CouplingGraph {name: 'laws'})-[:HAS_MODULE]->(p:OrderParameter {key: 'conservation@2'}) "
        "MATCH (p)-[:MEASURES]->(e:EnergySnapshot) RETURN e.uid AS uid"
    )
    assert linked == [{"uid": states[1]["uid"]}]
    # drawn again it is the same graph, held to another tolerance another one
    assert (await ask(operator, draw, prediction=world.prediction, tolerance=1.0))["version"] == 1
    assert (await ask(operator, draw, prediction=world.prediction, tolerance=0.5))["version"] == 2
    assert (await ask(operator, draw, prediction="none", tolerance=0.5)) == {"code": "NOT_FOUND"}
    # where all is held to be in order, the energy is the squared residuals, weighed
    explain = 'query($eta: JSON) { explain(graph: "laws", eta: $eta) { ... on Explanation { terms { name energy } } } }'
    whole = await ask(operator, explain, eta={each["key"]: 1.0 for each in drawn["modules"]})
    terms = {term["name"]: term["energy"] for term in whole["terms"]}
    again = await ask(operator, draw, prediction=world.prediction, tolerance=0.5)
    broken = [(1 - each["eta"]) ** 2 for each in again["modules"] if each["term"] == "local:conservation"]
    assert terms["local:conservation"] == pytest.approx(0.1 * sum(broken))
