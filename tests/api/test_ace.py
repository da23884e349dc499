"""Hypotheses and experiments through GraphQL: asked for, asked back, read whole, paged and watched."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from graph.gateway import Gateway
from graph.queries import ace, hypotheses, runs
from graph.queries.ace import NewVote
from resolvers.ace import translation
from resolvers.graphql.api import schema
from resolvers.graphql.context import RequestContext
from resolvers.graphql.hub import ProgressHub
from resolvers.web.metrics import Metrics
from resolvers.web.tokens import Tokens
from resolvers.web.viewer import Role, Viewer
from tests.api.conftest import World, ask, data
from tests.graph.queries import builders, experiments
from tests.graph.queries.experiments import CLAIM, Spent

pytestmark = pytest.mark.db

SPAWN = """mutation($input: SpawnAceInput!) { spawnAce(input: $input) {
  __typename ... on ACERun { uid kind state config } ... on Question { question options message }
  ... on Problem { code message nextStep } ... on NotFound { label uid } } }"""
CONFIRM = """mutation($input: ConfirmHypothesisInput!) { confirmHypothesis(input: $input) {
  __typename ... on Hypothesis { uid key text claim credence verdict domain { name } refines { uid } }
  ... on Question { question options } ... on Problem { code } } }"""
WHOLE = """query($uid: ID!) { aceRun(uid: $uid) {
  kind state certificate { number } parent { uid } children { uid kind parent { uid } }
  stages { name round position state inputs outputs startedAt finishedAt energyJoules energySource seconds attempt }
  votes { member round sha256 agrees starts agreed }
  hypothesis { uid text claim credence verdict domain { name } tests { verdict run { uid } }
    evidence { supports weight runUid evaluation { uid fidelity } } refinedBy { uid } refines { uid } }
  verdict tests { verdict prior credence weight result hypothesis { uid } }
  evidence { uid fidelity checkpoint { uid } }
  inputs { role node { __typename } } } }"""
WATCH = "subscription($run: ID!) { aceStage(run: $run) { name state round } }"


async def result(client: httpx.AsyncClient, document: str, **variables: Any) -> dict[str, Any]:
    """The one field of the answer."""
    (found,) = (await data(client, document, **variables)).values()
    return dict(found)


def claim(**changes: Any) -> dict[str, Any]:
    """A claim about the world's domain."""
    return {**CLAIM, "domain": "fluid_dynamics", "model": None, **changes}


async def propose(gateway: Gateway, key: str, **changes: Any) -> str:
    """Uid of a hypothesis about the world's domain."""
    values = {"text": f"it holds ({key})", "claim": claim(), "about": "fluid_dynamics"}
    return (await experiments.proposed(gateway, key=key, **(values | changes))).uid


async def settled(world: World, uid: str, verdict: str = "supported") -> str:
    """Uid of an experiment that has settled a hypothesis, with one child."""
    gateway = world.services.gateway
    run = await experiments.experiment(gateway)
    await experiments.walk(gateway, run.lease)
    await builders.submit(gateway, kind="evaluation", parent=run.uid)
    votes = [NewVote(member=n, sha256=f"{n}a", agrees=n < 2, starts=4, agreed=3 * (n < 2)) for n in range(3)]
    await ace.record_votes(gateway, run.lease, votes)
    await hypotheses.settle(
        gateway,
        run.lease,
        hypothesis=uid,
        verdict=verdict,  # type: ignore[arg-type]
        credence=0.9,
        weight=0.95,
        evidence=[world.evaluation],
        result={"effect": 0.1},
    )
    return run.uid


async def test_an_experiment_is_read_whole(operator: httpx.AsyncClient, world: World) -> None:
    gateway = world.services.gateway
    hypothesis = await propose(gateway, "whole")
    later = await propose(gateway, "later", refines=hypothesis)
    uid = await settled(world, hypothesis)
    found = await result(operator, WHOLE, uid=uid)
    assert (found["kind"], found["certificate"], found["parent"]) == ("ACE", None, None)
    assert [(each["name"], each["position"]) for each in found["stages"]] == [
        (name, place) for place, name in enumerate(ace.STAGES, 1)
    ]
    assert {(each["state"], each["energyJoules"], each["round"]) for each in found["stages"]} == {("DONE", 2.5, 1)}
    assert found["stages"][2]["inputs"] == {"of": "plan"}
    assert found["stages"][2]["outputs"] == {"by": "plan", "round": 1}
    assert [(vote["member"], vote["agrees"], vote["agreed"]) for vote in found["votes"]] == [
        (0, True, 3),
        (1, True, 3),
        (2, False, 0),
    ]
    (child,) = found["children"]
    assert (child["kind"], child["parent"]) == ("EVALUATION", {"uid": uid})
    assert found["verdict"] == "SUPPORTED"
    (test,) = found["tests"]
    assert (test["prior"], test["credence"], test["result"]) == (0.5, 0.9, {"effect": 0.1})
    about = found["hypothesis"]
    assert (about["uid"], about["verdict"], about["claim"]) == (hypothesis, "SUPPORTED", claim())
    assert about["tests"] == [{"verdict": "SUPPORTED", "run": {"uid": uid}}]
    assert about["evidence"] == [
        {"supports": True, "weight": 0.95, "runUid": uid, "evaluation": {"uid": world.evaluation, "fidelity": 0.6}}
    ]
    assert (about["refinedBy"], about["refines"]) == ([{"uid": later}], [])
    assert [one["uid"] for one in found["evidence"]] == [world.evaluation]
    assert found["inputs"] == [{"role": "evidence", "node": {"__typename": "Evaluation"}}]
    # it is one run among the others, and no other run is one
    assert (await result(operator, "query($u: ID!) { run(uid: $u) { __typename } }", u=uid)) == {"__typename": "ACERun"}
    assert (await data(operator, WHOLE, uid=world.training_run))["aceRun"] is None
    assert (await data(operator, WHOLE, uid="none"))["aceRun"] is None


async def test_before_it_has_begun_an_experiment_knows_nothing(operator: httpx.AsyncClient, world: World) -> None:
    run = await experiments.experiment(world.services.gateway)
    stage = await ace.begin_stage(world.services.gateway, run.lease, name="spawn", round=1, inputs={})
    found = await result(operator, WHOLE, uid=run.uid)
    assert (found["hypothesis"], found["verdict"], found["tests"], found["votes"]) == (None, None, [], [])
    assert [(each["state"], each["outputs"], each["energyJoules"]) for each in found["stages"]] == [
        ("RUNNING", None, None)
    ]
    assert stage.outputs == {}


async def test_a_claim_is_asked_for_once(operator: httpx.AsyncClient, world: World) -> None:
    checkpoint = world.checkpoints[1]
    sentence = f"on fluid_dynamics checkpoint {checkpoint} keeps fidelity above 0.31 for 2 steps"
    run = await result(operator, SPAWN, input={"hypothesis": sentence, "budget": "500J", "shadows": 4, "maxRounds": 2})
    assert (run["__typename"], run["kind"], run["state"]) == ("ACERun", "ACE", "QUEUED")
    config = run["config"]
    assert (config["text"], config["checkpoint"]) == (sentence, checkpoint)
    assert (config["shadows"], config["max_rounds"]) == (4, 2)
    said = config["claim"]
    assert (said["metric"], said["threshold"], said["horizon"]) == ("fidelity", 0.31, 2)
    again = await result(
        operator, SPAWN, input={"claim": config["claim"], "budget": "500J", "shadows": 4, "maxRounds": 2}
    )
    assert again["uid"] == run["uid"]
    forced = await result(
        operator,
        SPAWN,
        input={"hypothesis": sentence, "budget": "500J", "shadows": 4, "maxRounds": 2, "force": True},
    )
    assert forced["uid"] != run["uid"]
    listed = (await data(operator, "{ hypotheses(first: 1) { nodes { uid text verdict } } }"))["hypotheses"]["nodes"]
    assert listed == [{"uid": config["hypothesis"], "text": sentence, "verdict": "UNTESTED"}]


async def test_a_clients_key_stands_for_one_request(operator: httpx.AsyncClient, world: World) -> None:
    def asked(threshold: float) -> dict[str, Any]:
        of = {"model": f"checkpoint:{world.checkpoints[1]}", "horizon": 1, "threshold": threshold}
        return {"claim": claim(**of), "clientKey": "mine"}

    first, again = [await result(operator, SPAWN, input=asked(0.11)) for _ in range(2)]
    assert first["state"] == "QUEUED"
    assert again["uid"] == first["uid"]
    other = await result(operator, SPAWN, input=asked(0.12))
    assert (other["__typename"], other["code"]) == ("Conflict", "CLIENT_KEY_USED")


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("the model is good", "How much is 'good': which measure must lie above or below which number?"),
        ("the base model keeps fidelity above 0.9", "On which domain?"),
    ],
)
async def test_what_is_vague_is_asked_back(operator: httpx.AsyncClient, sentence: str, question: str) -> None:
    asked = await result(operator, SPAWN, input={"hypothesis": sentence})
    assert (asked["__typename"], asked["question"]) == ("Question", question)
    assert asked["options"]
    confirmed = await result(operator, CONFIRM, input={"text": sentence})
    assert (confirmed["__typename"], confirmed["question"]) == ("Question", question)


SAID = "on fluid_dynamics fidelity is above 0.2"


@pytest.mark.parametrize(
    ("given", "typename", "code"),
    [
        ({"hypothesis": SAID, "budget": "0J"}, "InvalidInput", "BAD_BUDGET"),
        ({"hypothesis": SAID, "budget": "-5J"}, "InvalidInput", "BAD_BUDGET"),
        ({"hypothesis": SAID, "budget": "nanJ"}, "InvalidInput", "BAD_BUDGET"),
        ({"hypothesis": SAID, "shadows": 1}, "InvalidInput", "BAD_REQUEST"),
        ({"hypothesis": SAID, "maxRounds": 0}, "InvalidInput", "BAD_REQUEST"),
        ({"hypothesis": SAID, "shadowSteps": 0}, "InvalidInput", "BAD_REQUEST"),
        ({"claim": claim(comparator="near")}, "InvalidInput", "BAD_CLAIM"),
        ({"claim": {"metric": "fidelity"}}, "InvalidInput", "BAD_CLAIM"),
        ({"hypothesis": "on astrophysics fidelity is above 0.2"}, "NotFound", "NOT_FOUND"),
        ({}, "Question", None),
    ],
)
async def test_what_cannot_be_tested_is_told(
    operator: httpx.AsyncClient, world: World, given: dict[str, Any], typename: str, code: str | None
) -> None:
    found = await result(operator, SPAWN, input=given)
    assert (found["__typename"], found.get("code")) == (typename, code)


async def test_a_hypothesis_is_confirmed_in_ones_own_words(operator: httpx.AsyncClient, world: World) -> None:
    meant = claim(threshold=0.77)
    first = await result(operator, CONFIRM, input={"text": "it is very good", "claim": meant, "credence": 0.8})
    assert (first["text"], first["claim"], first["verdict"], first["credence"]) == (
        "it is very good",
        {**meant, "version": 1, "versus": None, "regime": None},
        "UNTESTED",
        0.8,
    )
    assert first["domain"] == {"name": "fluid_dynamics"}
    second = await result(
        operator, CONFIRM, input={"text": "on fluid_dynamics fidelity is above 0.78", "refines": first["uid"]}
    )
    assert second["refines"] == [{"uid": first["uid"]}]
    # the same claim, in other words
    again = await result(operator, CONFIRM, input={"text": "as I said", "claim": second["claim"]})
    assert (again["uid"], again["text"]) == (second["uid"], "on fluid_dynamics fidelity is above 0.78")
    unsure = await result(operator, CONFIRM, input={"text": "x", "claim": meant, "credence": 7})
    assert (unsure["__typename"], unsure["code"]) == ("InvalidInput", "BAD_HYPOTHESIS")


async def test_pages_of_hypotheses_are_narrowed(operator: httpx.AsyncClient, world: World) -> None:
    gateway = world.services.gateway
    made = [await propose(gateway, f"page {n}") for n in range(4)]
    await settled(world, made[0], "refuted")
    document = """query($first: Int!, $after: String, $domain: String, $verdict: Verdict) {
      hypotheses(first: $first, after: $after, domain: $domain, verdict: $verdict) {
        totalCount nodes { uid } pageInfo { hasNextPage endCursor } } }"""
    both = {"domain": "fluid_dynamics", "verdict": "REFUTED"}
    for narrow in ({}, {"domain": "fluid_dynamics"}, {"verdict": "UNTESTED"}, both):
        whole = (await data(operator, document, first=200, **narrow))["hypotheses"]
        assert whole["totalCount"] == len(whole["nodes"]) > 0
        assert whole["nodes"] == sorted(whole["nodes"], key=lambda node: node["uid"], reverse=True)
        walked, after = [], None
        while True:
            page = (await data(operator, document, first=3, after=after, **narrow))["hypotheses"]
            walked += page["nodes"]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert walked == whole["nodes"]
        assert (made[0] in [node["uid"] for node in walked]) is (narrow != {"verdict": "UNTESTED"})


async def test_nested_fields_cost_one_query_per_level(
    operator: httpx.AsyncClient, world: World, queries: list[str]
) -> None:
    for n in range(3):
        await settled(world, await propose(world.services.gateway, f"level {n}"))
    queries.clear()
    document = """{ hypotheses(first: 3) { nodes {
      domain { name } refines { uid } evidence { evaluation { uid } }
      tests { run { stages { name } votes { member } children { uid } verdict } } } } }"""
    found = (await data(operator, document))["hypotheses"]["nodes"]
    assert [len(node["tests"][0]["run"]["stages"]) for node in found] == [8, 8, 8]
    # page, domain, refines, evidence, evaluation, tests, run, stages, votes, children, verdict
    assert len(queries) <= 11


async def test_who_only_reads_cannot_spawn(
    anonymous: httpx.AsyncClient, world: World, token: Callable[[Role], str]
) -> None:
    anonymous.headers["Authorization"] = f"Bearer {token(Role.READER)}"
    assert "errors" not in await ask(anonymous, "{ hypotheses { nodes { uid } } }")
    for document, given in ((SPAWN, {"hypothesis": SAID}), (CONFIRM, {"text": SAID})):
        (error,) = (await ask(anonymous, document, input=given))["errors"]
        assert error["extensions"]["code"] == "FORBIDDEN"


@pytest.fixture
async def context(world: World) -> Any:
    """What resolvers find in a subscription, with a hub that looks often."""
    hub = ProgressHub(world.services.gateway, poll_seconds=0.02)
    polling = asyncio.create_task(hub.run())
    yield RequestContext(
        services=world.services,
        hub=hub,
        metrics=Metrics(),
        tokens=Tokens(world.services.settings.home),
        viewer=Viewer(Role.READER),
    )
    polling.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await polling


async def test_stages_are_seen_as_they_begin_and_end(context: RequestContext, world: World) -> None:
    gateway = world.services.gateway
    run = await experiments.experiment(gateway)
    begun = await ace.begin_stage(gateway, run.lease, name="spawn", round=1, inputs={})
    stages: Any = await schema.subscribe(WATCH, variable_values={"run": run.uid}, context_value=context)

    async def following() -> tuple[str, str]:
        async with asyncio.timeout(60):
            stage = (await anext(stages)).data["aceStage"]
        return stage["name"], stage["state"]

    assert await following() == ("spawn", "RUNNING")
    await ace.end_stage(gateway, run.lease, begun, outputs={}, spent=Spent())
    assert await following() == ("spawn", "DONE")
    await ace.begin_stage(gateway, run.lease, name="compose", round=1, inputs={})
    assert await following() == ("compose", "RUNNING")
    await runs.transition(gateway, run.uid, "RUNNING", "CANCELLED", run.lease_token)
    async with asyncio.timeout(60):
        with pytest.raises(StopAsyncIteration):
            await anext(stages)
    assert context.hub.watchers == 0


async def test_runs_of_other_kinds_have_no_stages(context: RequestContext, world: World) -> None:
    stages: Any = await schema.subscribe(WATCH, variable_values={"run": world.training_run}, context_value=context)
    assert [each async for each in stages] == []


TRANSLATE = """mutation($text: String!) { translateHypothesis(text: $text) { __typename
  ... on HypothesisProposal { text sentence claim assumed by } ... on Question { question }
  ... on Problem { code } } }"""


async def test_what_a_language_model_makes_of_a_text_is_a_proposal_to_confirm(
    operator: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "I say it gets 0.35 fidelity out of fluid dynamics"
    off = await result(operator, TRANSLATE, text=text)
    assert (off["__typename"], off["code"]) == ("InvalidInput", "NO_LANGUAGE_MODEL")

    answers = ['{"sentence": "on fluid_dynamics fidelity is at least 0.35"}', '{"question": "Which domain?"}', "no"]

    def told(given: str, **_: Any) -> translation.Proposal:
        answer = answers.pop(0)
        return translation.translate(given, model="some/model", timeout=5.0, complete=lambda *_: answer)

    monkeypatch.setattr("resolvers.graphql.ace.translate", told)
    before = await data(operator, "{ hypotheses(first: 1) { nodes { uid } } }")
    made = await result(operator, TRANSLATE, text=text)
    assert (made["__typename"], made["text"], made["assumed"], made["by"]) == (
        "HypothesisProposal", text, [], "some/model",
    )  # fmt: skip
    assert await data(operator, "{ hypotheses(first: 1) { nodes { uid } } }") == before, "nothing was written"
    confirmed = await result(operator, CONFIRM, input={"text": text, "claim": made["claim"]})
    assert (confirmed["__typename"], confirmed["text"], confirmed["claim"]) == ("Hypothesis", text, made["claim"])
    assert (await result(operator, TRANSLATE, text=text))["question"] == "Which domain?"
    assert (await result(operator, TRANSLATE, text=text))["code"] == "BAD_TRANSLATION"
