"""Coupling graphs by the API: written, explained, relaxed, and their trail read back."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from graph.queries import runs
from resolvers.services import relaxation as service
from resolvers.task import Task
from tests.api.conftest import World

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
  outcome { status initialEnergy energy keys eta terms deltaF90 writtenBack graphName }
  steps { index energy accepted termEnergy eta } } } }
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


async def work(world: World, uid: str) -> None:
    services = world.services
    claim = {"capability": "interactive", "worker": "test", "lease_seconds": 60, "only": uid}
    (row,) = await runs.claim(services.gateway, **claim)
    await runs.transition(services.gateway, row.uid, "LEASED", "RUNNING", row.lease_token)
    await service.execute(services, row, Task(services.gateway, row))
    await runs.transition(services.gateway, row.uid, "RUNNING", "SUCCEEDED", row.lease_token)


async def test_write_explain_relax_and_read_back(operator: httpx.AsyncClient, world: World) -> None:
    made = await ask(operator, UPSERT, input=GRAPH)
    assert (made["__typename"], made["version"], made["deltas"]) == ("CouplingGraph", 1, {"domain": 0.08})
    assert made["modules"][0] == {"key": "a", "kind": "gating", "params": {"a": 0.2, "b": 0.3}, "eta": None}
    assert "baseline" in await ask(operator, "{ couplingGraphNames }")

    explain = """query($eta: JSON) { explain(graph: "baseline", eta: $eta) { ... on Explanation {
      energy keys eta gradient curvatureBound terms { name energy gradientNorm } } ... on Problem { code } } }"""
    at = await ask(operator, explain, eta={"a": 0.06039, "b": 0.07784})
    assert at["energy"] == pytest.approx(-0.00250761, abs=1e-8)
    assert max(map(abs, at["gradient"])) < 1e-4
    # wells 2a + 12b of b, and the bond on both sides
    assert at["curvatureBound"] == pytest.approx(2 * 0.25 + 12 * 0.35 + 4 * 0.7)
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
    assert outcome["energy"] == pytest.approx(-0.00250761, abs=1e-8)
    assert steps[0]["energy"] == outcome["initialEnergy"]
    assert [step["index"] for step in steps] == list(range(len(steps)))
    assert (await ask(operator, explain))["eta"] == outcome["eta"]

    watch = "subscription($run: ID!) { relaxationStep(run: $run) { index energy } }"
    request = {"query": watch, "variables": {"run": run["uid"]}}
    streamed = await operator.post("/graphql", json=request, headers={"Accept": "text/event-stream"})
    assert streamed.text.count('"relaxationStep"') == len(steps)


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


async def test_a_coupling_is_added(operator: httpx.AsyncClient) -> None:
    await ask(operator, UPSERT, input={**GRAPH, "name": "more"})
    add = """mutation($coupling: CouplingInput!) { addCoupling(graph: "more", coupling: $coupling) {
      ... on CouplingGraph { version couplings { kind } } ... on Problem { code } } }"""
    more = await ask(operator, add, coupling={"kind": "sum_hinge", "start": "a", "end": "b"})
    assert more["version"] == 2
    assert sorted(each["kind"] for each in more["couplings"]) == ["gate_benefit", "quadratic", "sum_hinge"]
    wrong = await ask(operator, add, coupling={"kind": "sum_hinge", "start": "a", "end": "z"})
    assert wrong == {"code": "BAD_INDEX"}
