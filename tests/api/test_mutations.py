"""Mutations queue a run and return it at once, or say in their union why not."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import httpx
import numpy as np
import pytest

from nvp.atlas.canonical import canonical_bytes
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
    several = {"checkpoints": world.checkpoints[1:], "starts": world.snapshots[20:23], "steps": 2, "members": True}
    together = await result(operator, PREDICT, input=several)
    assert sorted(use["role"] for use in together["inputs"]) == ["checkpoint", "start", "start", "start"]
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
        (PREDICT, {"checkpoint": "a", "checkpoints": ["b"], "snapshot": "s"}, "InvalidInput", "BAD_REQUEST"),
        (PREDICT, {"checkpoint": "a"}, "InvalidInput", "BAD_REQUEST"),
        (TRAIN, {"domain": "fluid_dynamics", "settings": {"batches": 1}}, "InvalidInput", "BAD_SETTING"),
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


INGEST = "mutation($input: IngestArraysInput!) { ingestArrays(input: $input) { __typename " + (
    "... on Sequence { uid kind length first last height width dt snapshots { nodes { tIndex validTime array { sha256 }"
    " next { tIndex } } } } " + PROBLEM + " } }"
)


async def uploaded(client: httpx.AsyncClient, *fields: np.ndarray[Any, Any]) -> list[str]:
    """The hashes of fields that are in the store now."""
    hashes = []
    for field in fields:
        content = canonical_bytes(field)
        hashes.append(hashlib.sha256(content).hexdigest())
        assert (await client.put(f"/arrays/{hashes[-1]}", content=content)).status_code in (200, 201)
    return hashes


async def test_uploaded_frames_become_a_sequence(operator: httpx.AsyncClient, world: World) -> None:
    frames = await uploaded(operator, *(np.full((8, 16), 1.0 + k) for k in range(3)))
    given = {"domain": "fluid_dynamics", "source": "uploaded", "frames": frames, "dt": 0.5}
    first = await result(operator, INGEST, input=given)
    assert (first["__typename"], first["kind"], first["length"]) == ("Sequence", "OBSERVED", 3)
    assert (first["height"], first["width"], first["dt"]) == (8, 16, 0.5)
    (more,) = await uploaded(operator, np.full((8, 16), 9.0))
    again = await result(operator, INGEST, input=given | {"frames": [frames[2], more], "first": 2})
    assert (again["uid"], again["length"]) == (first["uid"], 4)
    nodes = again["snapshots"]["nodes"]
    assert [node["tIndex"] for node in nodes] == [0, 1, 2, 3]
    assert [node["next"] for node in nodes] == [[{"tIndex": 1}], [{"tIndex": 2}], [{"tIndex": 3}], []]
    clash = await result(operator, INGEST, input=given | {"frames": [more]})
    assert (clash["__typename"], clash["code"]) == ("Conflict", "FRAME_CONFLICT")


async def test_uploaded_frames_may_have_a_calendar(operator: httpx.AsyncClient, world: World) -> None:
    frames = await uploaded(operator, *(np.full((8, 8, 1), 280.0 + k) for k in range(2)))
    given = {
        "domain": "surface_temperature",
        "source": "uploaded",
        "frames": frames,
        "start": "2019-03-01T02:00:00+02:00",
    }
    found = await result(operator, INGEST, input=given)
    times = [node["validTime"][:16] for node in found["snapshots"]["nodes"]]
    assert times == ["2019-03-01T00:00", "2019-03-01T01:00"]


@pytest.mark.parametrize(
    ("fields", "changes", "code"),
    [
        ([np.zeros((8, 8)), np.zeros((8, 16))], {}, "BAD_SHAPE"),
        ([np.zeros(8)], {}, "BAD_SHAPE"),
        ([np.full((8, 8), -1.0)], {}, "BAD_VALUE"),
        ([np.full((8, 8), np.nan)], {}, "BAD_VALUE"),
        ([np.ones((7, 8))], {}, "BAD_SHAPE"),
        ([], {}, "BAD_REQUEST"),
        ([np.ones((8, 8))], {"dt": 0.0}, "BAD_REQUEST"),
        ([np.ones((8, 8))], {"domain": "alchemy"}, "UNKNOWN_DOMAIN"),
        ([np.ones((8, 8))], {"source": "/data/run 7.nc"}, "BAD_SOURCE"),
        ([np.ones((8, 8))], {"source": " "}, "BAD_SOURCE"),
        ([np.ones((8, 8))], {"start": "2300-01-01T00:00:00Z"}, "BAD_TIME"),
        ([], {"frames": ["0" * 64]}, "NOT_FOUND"),
        ([], {"frames": ["../../etc/passwd"]}, "NOT_FOUND"),
    ],
)
async def test_uploads_that_do_not_fit_are_refused(
    operator: httpx.AsyncClient, world: World, fields: list[np.ndarray[Any, Any]], changes: dict[str, Any], code: str
) -> None:
    given = {"domain": "fluid_dynamics", "source": "bad", "frames": await uploaded(operator, *fields)}
    assert (await result(operator, INGEST, input=given | changes))["code"] == code
