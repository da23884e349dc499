"""What the API says of how a run is treated: its turn, its time, its energy, and whose it is."""

from __future__ import annotations

import httpx
import pytest

from graph.queries import runs
from tests.api.conftest import World, data
from tests.graph.queries import builders

pytestmark = pytest.mark.db

RUN = """
query Treated($run: ID!) {
  run(uid: $run) {
    priority notBefore seconds timeLimit energyJoules energySource energyMeasured energyEstimated unmetered
    parent { uid }
    children { uid state priority }
  }
}
"""
GENERATE = """
mutation Once($input: GenerateInput!) {
  generate(input: $input) { __typename ... on GenerationRun { uid } ... on Problem { code message } }
}
"""


async def test_a_run_tells_its_turn_its_time_and_what_it_spent(operator: httpx.AsyncClient, world: World) -> None:
    gateway = world.services.gateway
    parent = await builders.started(gateway)
    child = await builders.started(gateway, parent=parent.uid, priority=7, time_limit=90)
    back = await runs.transition(
        gateway, child.uid, "RUNNING", "QUEUED", child.lease.token, delay=60.0, energy_joules=2.0,
        energy_source="measured: RAPL",
    )  # fmt: skip
    assert back is not None
    told = (await data(operator, RUN, run=child.uid))["run"]
    assert told.pop("notBefore") > back.created_at.isoformat()[:19]
    assert told.pop("seconds") == back.seconds
    assert told == {
        "priority": 7, "timeLimit": 90.0, "energyJoules": 2.0, "energySource": "measured: RAPL",
        "energyMeasured": 2.0, "energyEstimated": None, "unmetered": 0,
        "parent": {"uid": parent.uid}, "children": [],
    }  # fmt: skip
    told = (await data(operator, RUN, run=parent.uid))["run"]
    assert told["parent"] is None
    assert told["children"] == [{"uid": child.uid, "state": "QUEUED", "priority": 7}]


async def test_a_request_that_is_sent_again_finds_its_run(operator: httpx.AsyncClient, world: World) -> None:
    wanted = {"domain": "fluid_dynamics", "seed": 4, "clientKey": "once"}
    first = (await data(operator, GENERATE, input=wanted))["generate"]
    assert first["__typename"] == "GenerationRun"
    assert (await data(operator, GENERATE, input=wanted))["generate"] == first
    other = (await data(operator, GENERATE, input=wanted | {"seed": 5}))["generate"]
    assert (other["__typename"], other["code"]) == ("Conflict", "CLIENT_KEY_USED")
