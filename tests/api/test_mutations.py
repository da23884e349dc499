"""Mutations queue a run and return it at once, or say in their union why not."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.api.conftest import World, data

pytestmark = pytest.mark.db

PROBLEM = "... on Problem { code message nextStep } ... on NotFound { label uid }"
RUN = "... on Run { uid kind state attempt seq config inputs { role node { id } } }"
TRAIN = "mutation($input: TrainInput!) { train(input: $input) { __typename " + RUN + PROBLEM + " } }"
PREDICT = "mutation($input: PredictInput!) { predict(input: $input) { __typename " + RUN + PROBLEM + " } }"
EVALUATE = "mutation($input: EvaluateInput!) { evaluate(input: $input) { __typename " + RUN + PROBLEM + " } }"
GENERATE = "mutation($input: GenerateInput!) { generate(input: $input) { __typename " + RUN + PROBLEM + " } }"
CANCEL = "mutation($uid: ID!) { cancelRun(uid: $uid) { __typename " + RUN + PROBLEM + " } }"


async def result(client: httpx.AsyncClient, document: str, **variables: Any) -> dict[str, Any]:
    """The one field of the answer."""
    (found,) = (await data(client, document, **variables)).values()
    return dict(found)


async def test_training_is_queued_at_once(operator: httpx.AsyncClient, world: World) -> None:
    wanted = {"domain": "fluid_dynamics", "model": "RIDGE", "split": "BLOCK", "gap": 2, "seed": 3}
    began = time.monotonic()
    run = await result(operator, TRAIN, input=wanted)
    assert time.monotonic() - began < 5
    assert (run["__typename"], run["kind"], run["state"], run["attempt"]) == ("TrainingRun", "TRAINING", "QUEUED", 1)
    assert run["config"]["model"] == "ridge"
    assert sorted(use["role"] for use in run["inputs"]) == ["sequence", "sequence", "split"]
    assert all(use["node"] for use in run["inputs"])
    again = await result(operator, TRAIN, input=wanted)
    assert again["uid"] == run["uid"]
    forced = await result(operator, TRAIN, input=wanted | {"force": True})
    assert forced["uid"] != run["uid"]


async def test_prediction_evaluation_and_generation_are_queued(operator: httpx.AsyncClient, world: World) -> None:
    start = {"checkpoint": world.checkpoints[1], "snapshot": world.snapshots[20], "steps": 2}
    predicted = await result(operator, PREDICT, input=start)
    assert (predicted["__typename"], predicted["state"]) == ("PredictionRun", "QUEUED")
    evaluated = await result(operator, EVALUATE, input={"checkpoints": [world.checkpoints[1]]})
    assert (evaluated["__typename"], evaluated["state"]) == ("EvaluationRun", "QUEUED")
    generated = await result(operator, GENERATE, input={"domain": "fluid_dynamics", "sequences": 2, "seed": 5})
    assert (generated["__typename"], generated["state"]) == ("GenerationRun", "QUEUED")


@pytest.mark.parametrize(
    ("document", "given", "typename", "code"),
    [
        (TRAIN, {"domain": "alchemy"}, "InvalidInput", "UNKNOWN_DOMAIN"),
        (TRAIN, {}, "InvalidInput", "BAD_REQUEST"),
        (TRAIN, {"sequences": ["none"]}, "NotFound", "NOT_FOUND"),
        (TRAIN, {"domain": "surface_temperature"}, "InvalidInput", "NO_SEQUENCES"),
        (TRAIN, {"domain": "fluid_dynamics", "epochs": 0}, "InvalidInput", "BAD_REQUEST"),
        (PREDICT, {"checkpoint": "none", "snapshot": "none"}, "NotFound", "NOT_FOUND"),
        (EVALUATE, {"checkpoints": []}, "InvalidInput", "BAD_REQUEST"),
        (GENERATE, {"domain": "alchemy"}, "InvalidInput", "UNKNOWN_DOMAIN"),
    ],
)
async def test_bad_input_is_a_member_of_the_union(
    operator: httpx.AsyncClient, world: World, document: str, given: dict[str, Any], typename: str, code: str
) -> None:
    found = await result(operator, document, input=given)
    assert (found["__typename"], found["code"]) == (typename, code)
    assert "\n" not in found["message"]


async def test_a_run_can_be_cancelled(operator: httpx.AsyncClient, world: World) -> None:
    run = await result(operator, GENERATE, input={"domain": "fluid_dynamics", "seed": 77})
    cancelled = await result(operator, CANCEL, uid=run["uid"])
    assert cancelled["state"] == "CANCELLED"
    assert cancelled["seq"] > run["seq"]
    missing = await result(operator, CANCEL, uid="none")
    assert (missing["__typename"], missing["label"], missing["uid"]) == ("NotFound", "Run", "none")
