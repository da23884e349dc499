"""Every type can be read through GraphQL, in batches, and every list is a keyset page."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from graphql import get_introspection_query

from tests.api.conftest import FRAMES, LEADS, World, ask, data

pytestmark = pytest.mark.db

EVERYTHING = """
query Everything(
  $start: ID!, $sequence: ID!, $model: ID!, $prediction: ID!, $evaluation: ID!, $run: ID!, $split: ID!
) {
  domain(name: "fluid_dynamics") { id name closed secondLaw boundaryX units sequences { totalCount nodes { uid } } }
  sequence(uid: $sequence) {
    uid kind length first last height width dt recipe digest domain { name } segments { first length sha256 }
    parts { role first last split { name } sequence { uid } }
    snapshots(first: 2) { nodes { tIndex } } generatedBy { uid }
  }
  split(uid: $split) { kind gap parts { role sequence { uid } } }
  snapshot(uid: $start) {
    uid kind tIndex t validTime height width totalEnergy entropy contextNames imageUrl array { url sha256 }
    context { names array { url } } spread { url } sequence { uid } domain { name }
    previous { tIndex } next(first: 4) { tIndex }
    predictions { uid stepsAhead forcing fidelity checkpoint { step } steps { lead snapshot { kind lead tIndex } } }
    evolvesTo {
      lead prediction { uid } snapshot { uid evolvesTo { lead } estimates { lead fidelity truth { tIndex } } }
    }
  }
  model(uid: $model) {
    name architecture config rngSeed split { uid } domain { name } bestCheckpoint { step }
    checkpoints { step epoch sha256 valFidelity metrics derivedFrom { step } model { uid }
      predictions { totalCount } evaluations { nodes { uid } } }
  }
  prediction(uid: $prediction) { start { uid } run { uid kind state } members createdAt }
  evaluation(uid: $evaluation) {
    fidelity fidelityLow fidelityHigh n vrmse linearFidelity scores checkpoint { uid } run { kind }
    on { first last sequence { uid } } changeGradientCosine horizon windows
    leads(first: 3) { lead forcing fidelity vrmse persistenceVrmse }
    second: atLead(lead: 2, forcing: RECORDED) { lead forcing vrmse scores } third: atLead(lead: 3) { lead }
  }
  run(uid: $run) {
    __typename uid kind state attempt progress config rngSeed createdAt inputs { role node { __typename id } }
    ... on TrainingRun { epochs { epoch trainLoss } model { uid } checkpoints { step } }
  }
}
"""


async def test_everything_can_be_read(operator: httpx.AsyncClient, world: World) -> None:
    found = await data(
        operator,
        EVERYTHING,
        start=world.snapshots[5],
        sequence=world.sequences[0],
        model=world.model,
        prediction=world.prediction,
        evaluation=world.evaluation,
        run=world.training_run,
        split=world.split,
    )
    assert found["domain"]["sequences"]["totalCount"] == 2
    assert found["sequence"]["kind"] == "SIMULATED"
    assert found["sequence"]["length"] == FRAMES
    assert [part["role"] for part in found["sequence"]["parts"]] == ["train", "test"]
    assert found["sequence"]["generatedBy"] is None

    snapshot = found["snapshot"]
    assert [state["tIndex"] for state in snapshot["next"]] == [6, 7, 8, 9]
    assert snapshot["previous"] == {"tIndex": 4}
    assert snapshot["contextNames"] == ["velocity"]
    assert snapshot["spread"] is None
    (made,) = snapshot["predictions"]
    assert made["fidelity"] == 0.9
    assert [step["snapshot"]["tIndex"] for step in made["steps"]] == [6, 7, 8]
    assert {step["snapshot"]["kind"] for step in made["steps"]} == {"PREDICTED"}
    (evolution,) = snapshot["evolvesTo"]
    assert evolution["prediction"]["uid"] == world.prediction
    assert evolution["snapshot"]["estimates"] == [{"lead": 1, "fidelity": 0.9, "truth": {"tIndex": 6}}]
    assert evolution["snapshot"]["evolvesTo"] == [{"lead": 2}]

    assert found["model"]["bestCheckpoint"] == {"step": 2}
    assert [one["step"] for one in found["model"]["checkpoints"]] == [2, 1]
    assert found["model"]["checkpoints"][0]["derivedFrom"] == {"step": 1}
    assert found["model"]["checkpoints"][0]["predictions"] == {"totalCount": 1}
    assert found["evaluation"]["scores"]["fidelity"]["ci95"] == [0.5, 0.7]
    assert found["evaluation"]["on"] == [{"first": 12, "last": FRAMES - 1, "sequence": {"uid": world.sequences[0]}}]
    assert found["evaluation"]["changeGradientCosine"] == 0.9
    assert found["evaluation"]["horizon"] == 2
    assert found["evaluation"]["windows"][0]["window"] == "0:2"
    leads = found["evaluation"]["leads"]
    assert [(one["lead"], one["forcing"]) for one in leads] == [(1, "FROZEN"), (2, "FROZEN"), (1, "RECORDED")]
    assert leads[1] == {"lead": 2, "forcing": "FROZEN", "fidelity": 0.3, "vrmse": 0.6, "persistenceVrmse": None}
    assert found["evaluation"]["second"]["scores"]["marker"] == "recorded"
    assert found["evaluation"]["second"]["vrmse"] == 0.6
    assert found["evaluation"]["third"] is None
    assert found["prediction"]["run"]["kind"] == "PREDICTION"

    run = found["run"]
    assert run["__typename"] == "TrainingRun"
    assert {use["role"]: use["node"]["__typename"] for use in run["inputs"]} == {
        "split": "Split",
        "sequence": "Sequence",
    }
    assert [epoch["trainLoss"] for epoch in run["epochs"]] == [1.0, 0.5]


async def test_a_split_says_what_leaks(operator: httpx.AsyncClient, world: World) -> None:
    """The carried field comes round every 16 steps: frames of both parts are equal, though they lie apart."""
    document = """query($uid: ID!, $first: Int!) {
      split(uid: $uid) { leaks(first: $first) { kind message roles sequenceUids tIndex } } }"""
    found = (await data(operator, document, uid=world.split, first=50))["split"]["leaks"]
    assert {leak["kind"] for leak in found} == {"equal_frames"}
    assert [16, 0] in [leak["tIndex"] for leak in found]
    assert all(
        leak["roles"] == ["test", "train"] and leak["sequenceUids"] == [world.sequences[0]] * 2 for leak in found
    )
    assert f"frame 16 of sequence {world.sequences[0]} (test) equals frame 0" in " ".join(
        leak["message"] for leak in found
    )
    assert len((await data(operator, document, uid=world.split, first=2))["split"]["leaks"]) == 2
    assert (await data(operator, document, uid=world.split, first=0))["split"]["leaks"] == []


async def test_the_schema_can_be_explored(operator: httpx.AsyncClient) -> None:
    """GraphiQL's own first query; it is deep and long, and must pass the limits."""
    found = await data(operator, get_introspection_query(input_value_deprecation=True))
    assert {"EnergySnapshot", "TrainInput"} <= {one["name"] for one in found["__schema"]["types"]}


async def test_what_is_not_there_is_null(operator: httpx.AsyncClient, world: World) -> None:
    fields = ("sequence", "split", "snapshot", "model", "checkpoint", "run", "prediction", "evaluation")
    document = "{ " + " ".join(f'{name}(uid: "none") {{ uid }}' for name in fields) + ' domain(name: "none") { name } }'
    assert set((await data(operator, document)).values()) == {None}


async def test_node_finds_by_relay_id(operator: httpx.AsyncClient, world: World) -> None:
    document = "query($uid: ID!) { snapshot(uid: $uid) { id } }"
    key = (await data(operator, document, uid=world.snapshots[3]))["snapshot"]["id"]
    node = "query($id: ID!) { node(id: $id) { id ... on EnergySnapshot { tIndex } } }"
    assert (await data(operator, node, id=key))["node"] == {"id": key, "tIndex": 3}
    run = (await data(operator, "query($uid: ID!) { run(uid: $uid) { id } }", uid=world.training_run))["run"]["id"]
    assert (await data(operator, node, id=run))["node"] == {"id": run}


@pytest.mark.parametrize("first", [1, 7, 10, 11, FRAMES, 200])
async def test_next_walks_true_successors_in_order(operator: httpx.AsyncClient, world: World, first: int) -> None:
    document = "query($uid: ID!, $first: Int!) { snapshot(uid: $uid) { next(first: $first) { uid tIndex } } }"
    found = (await data(operator, document, uid=world.snapshots[0], first=first))["snapshot"]["next"]
    assert [state["uid"] for state in found] == world.snapshots[1 : first + 1]


async def test_predicted_states_are_listed_only_where_asked_for(operator: httpx.AsyncClient, world: World) -> None:
    document = """query($kind: SnapshotKind) {
      snapshots(domain: "fluid_dynamics", kind: $kind, first: 200) { totalCount nodes { kind } } }"""
    plain = (await data(operator, document))["snapshots"]
    assert plain["totalCount"] == 2 * FRAMES
    assert {state["kind"] for state in plain["nodes"]} == {"SIMULATED"}
    predicted = (await data(operator, document, kind="PREDICTED"))["snapshots"]
    assert predicted["totalCount"] == LEADS
    assert (await data(operator, document, kind="OBSERVED"))["snapshots"] == {"totalCount": 0, "nodes": []}


LISTS = {
    "domains": "domains(ARGS)",
    "sequences": "sequences(ARGS)",
    "sequences of a domain": 'sequences(domain: "fluid_dynamics", ARGS)',
    "snapshots of a domain": 'snapshots(domain: "fluid_dynamics", ARGS)',
    "snapshots of a sequence": 'snapshots(sequence: "SEQUENCE", ARGS)',
    "models": "models(ARGS)",
    "models of a domain": 'models(domain: "fluid_dynamics", ARGS)',
    "checkpoints": "checkpoints(ARGS)",
    "checkpoints of a model": 'checkpoints(model: "MODEL", ARGS)',
    "runs": "runs(ARGS)",
    "runs of a kind and state": "runs(kind: TRAINING, state: RUNNING, ARGS)",
    "predictions": "predictions(ARGS)",
    "predictions by a checkpoint": 'predictions(checkpoint: "CHECKPOINT", ARGS)',
    "evaluations": 'evaluations(domain: "fluid_dynamics", ARGS)',
    "evaluations of a checkpoint": 'evaluations(checkpoint: "CHECKPOINT", ARGS)',
}


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("name", LISTS)
async def test_pages_make_up_the_whole_list(operator: httpx.AsyncClient, world: World, name: str, size: int) -> None:
    """Walked page by page, each list gives exactly the nodes of one large page, in the same order."""
    call = LISTS[name].replace("SEQUENCE", world.sequences[0]).replace("MODEL", world.model)
    call = call.replace("CHECKPOINT", world.checkpoints[1])
    document = (
        "query($first: Int!, $after: String) { list: "
        + call.replace("ARGS", "first: $first, after: $after")
        + " { totalCount nodes { id } edges { cursor } pageInfo { hasNextPage hasPreviousPage endCursor } } }"
    )
    whole = (await data(operator, document, first=200))["list"]
    assert whole["totalCount"] == len(whole["nodes"]) > 0
    assert not whole["pageInfo"]["hasNextPage"]
    walked: list[Any] = []
    after, more = None, True
    while more:
        page = (await data(operator, document, first=size, after=after))["list"]
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        walked += page["nodes"]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        assert not more or len(page["nodes"]) == size
    assert walked == whole["nodes"]
    assert len({node["id"] for node in walked}) == len(walked)


async def test_a_page_is_cut_down_to_its_maximum(operator: httpx.AsyncClient, world: World) -> None:
    document = 'query($first: Int!) { snapshots(domain: "fluid_dynamics", first: $first) { nodes { uid } } }'
    assert len((await data(operator, document, first=10**6))["snapshots"]["nodes"]) == 2 * FRAMES
    assert (await data(operator, document, first=0))["snapshots"]["nodes"] == []
    assert (await data(operator, document, first=-5))["snapshots"]["nodes"] == []


@pytest.mark.parametrize(
    "cursor", ["", "%%%", "W10=", "WyJhIiwxXQ==", "bnVsbA==", "Wzk5OTk5OTk5OTk5OTk5OTk5OTksImEiXQ=="]
)
async def test_a_strange_cursor_is_refused(operator: httpx.AsyncClient, world: World, cursor: str) -> None:
    document = 'query($after: String) { snapshots(domain: "fluid_dynamics", after: $after) { nodes { uid } } }'
    (error,) = (await ask(operator, document, after=cursor))["errors"]
    assert error["extensions"]["code"] == "BAD_CURSOR"


async def test_snapshots_of_nothing_in_particular_are_refused(operator: httpx.AsyncClient, world: World) -> None:
    (error,) = (await ask(operator, "{ snapshots { nodes { uid } } }"))["errors"]
    assert error["extensions"]["code"] == "BAD_FILTER"


@pytest.mark.parametrize("first", [2, 50])
async def test_nested_fields_cost_one_query_per_level(
    operator: httpx.AsyncClient, world: World, queries: list[str], first: int
) -> None:
    """However many nodes a list has, each nested field is read once for all of them."""
    document = """query($first: Int!) {
      snapshots(domain: "fluid_dynamics", first: $first) {
        nodes { sequence { source domain { title } } next { uid } predictions { checkpoint { model { name } } } } } }"""
    await data(operator, document, first=first)
    # list of two origins, sequence, domain, next, predictions, and below the one start: checkpoint, model
    assert len(queries) <= 2 + 6
    queries.clear()
    await data(operator, "{ models { nodes { name } } }")
    assert len(queries) == 1, "the total is counted only where asked for"


async def test_what_became_of_a_prediction(operator: httpx.AsyncClient, world: World) -> None:
    found = await data(
        operator,
        """query Outcome($uid: ID!) { prediction(uid: $uid) {
          violationCount
          violations { law lead member value limit snapshot { uid lead } prediction { uid } domain { name } }
          logs { lead step regime fidelity totalEnergyFidelity fieldFidelity entropyPred entropySharePred model
            checkpointSha256 truth { uid } predicted { lead } prediction { uid } domain { name } }
        } }""",
        uid=world.prediction,
    )
    made = found["prediction"]
    assert made["violationCount"] == 2
    member, drift = made["violations"]
    assert (member["law"], member["member"], member["value"], member["snapshot"]) == ("NOT_FINITE", 3, None, None)
    assert (drift["law"], drift["lead"], drift["value"], drift["limit"]) == ("ENERGY_DRIFT", 2, 2e-3, 1e-4)
    assert drift["snapshot"]["lead"] == 2
    assert drift["prediction"]["uid"] == world.prediction
    assert [(log["lead"], log["truth"]["uid"]) for log in made["logs"]] == [
        (lead, world.snapshots[5 + lead]) for lead in range(1, LEADS + 1)
    ]
    log = made["logs"][1]
    assert (log["predicted"]["lead"], log["prediction"]["uid"], log["model"]) == (2, world.prediction, "ridge")
    assert log["domain"] == drift["domain"] == {"name": "fluid_dynamics"}
    assert log["entropySharePred"] == pytest.approx(1.0)  # what was predicted is uniform
    assert log["fieldFidelity"] < 1


async def test_outcomes_by_law_domain_and_regime(operator: httpx.AsyncClient, world: World) -> None:
    found = await data(
        operator,
        """{
          all: violations { totalCount nodes { uid law } }
          drift: violations(domain: "fluid_dynamics", law: ENERGY_DRIFT) { totalCount nodes { law prediction { uid } } }
          none: violations(domain: "plasma_physics") { totalCount }
          logs: predictionLogs(domain: "fluid_dynamics", first: 2) { totalCount nodes { id lead regime } pageInfo {
            hasNextPage endCursor } }
          both: predictionLogSummary { domain regime n moving pooled median }
          domains: predictionLogSummary(by: [DOMAIN]) { domain regime n rmse fieldFidelity }
          nowhere: predictionLogSummary(regime: "nowhere") { n }
        }""",
    )
    assert (found["all"]["totalCount"], found["drift"]["totalCount"], found["none"]["totalCount"]) == (2, 1, 0)
    assert found["drift"]["nodes"] == [{"law": "ENERGY_DRIFT", "prediction": {"uid": world.prediction}}]
    assert found["logs"]["totalCount"] == LEADS
    assert found["logs"]["pageInfo"]["hasNextPage"]
    assert sum(row["n"] for row in found["both"]) == LEADS
    (domain,) = found["domains"]
    assert (domain["domain"], domain["regime"], domain["n"]) == ("fluid_dynamics", None, LEADS)
    assert found["nowhere"] == []
    regime = found["both"][0]["regime"]
    rest = await data(
        operator,
        "query Rest($r: String, $a: String) { predictionLogs(regime: $r, after: $a) { nodes { regime } } }",
        r=regime,
        a=found["logs"]["pageInfo"]["endCursor"],
    )
    assert {node["regime"] for node in rest["predictionLogs"]["nodes"]} <= {regime}
    again = await data(
        operator, "query N($id: ID!) { node(id: $id) { __typename } }", id=found["logs"]["nodes"][0]["id"]
    )
    assert again["node"]["__typename"] == "PredictionLog"


async def test_a_model_tells_how_it_was_trained(operator: httpx.AsyncClient, world: World) -> None:
    """A sequence's recipe is an object, that of a model a name."""
    gateway = world.services.gateway
    await gateway.write("MATCH (m:Model {uid: $uid}) SET m.recipe = 'seeds', m.data_digest = 'ab'", uid=world.model)
    document = "query($run: ID!) { run(uid: $run) { ... on TrainingRun { model { recipe dataDigest config } } } }"
    told = (await data(operator, document, run=world.training_run))["run"]["model"]
    assert told == {"recipe": "seeds", "dataDigest": "ab", "config": {"radius": 2}}
    await gateway.write("MATCH (m:Model {uid: $uid}) REMOVE m.recipe, m.data_digest", uid=world.model)
