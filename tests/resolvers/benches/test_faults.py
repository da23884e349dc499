"""The bench of faults sees what is lost, done twice, or written with a lease that is another's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graph.gateway import Gateway
from graph.queries import leases, runs
from resolvers.benches import faults_check
from resolvers.benches.faults_watch import Request, Watch
from tests.graph.queries.builders import submit

TRAINING = Request("training", "", {})
EXPIRE = "MATCH (r:Run {uid: $uid}) SET r.lease_until = datetime() - duration('PT1S')"
ROW: dict[str, Any] = {
    "run": "r",
    "kind": "training",
    "state": "SUCCEEDED",
    "models": 1,
    "epochs": 3,
    "sequences": 0,
    "predictions": 0,
    "fields": 0,
    "numbers": [1, 2, 3],
    "steps": [4, 8],
}


async def _taken_over(gateway: Gateway) -> Watch:
    """A run that a second worker holds, as somebody saw who looked all the time."""
    watch = Watch(gateway)
    row = await submit(gateway)
    watch.asked[row.uid] = TRAINING
    for worker in ("first", "second"):
        (held,) = await runs.claim(gateway, capability="batch", worker=worker, lease_seconds=60)
        await runs.transition(gateway, row.uid, "LEASED", "RUNNING", held.lease_token)
        await watch.look()
        if worker == "first":
            await gateway.write(EXPIRE, uid=row.uid)
            assert await runs.reap(gateway, max_attempts=3) == 1
            await watch.look()
    return watch


@pytest.mark.db
async def test_no_door_opens_for_who_lost_the_lease(gateway: Gateway) -> None:
    watch = await _taken_over(gateway)
    assert watch.stale_tried == 5
    assert watch.stale_written == []
    assert watch.running("training") == watch.taken_over() == watch.unfinished() == list(watch.asked)


@pytest.mark.db
async def test_a_door_that_opens_is_told(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    unfenced = leases.FENCE.replace("r.lease_token = $lease_token AND", "")
    monkeypatch.setattr(leases, "FENCE", unfenced)
    watch = await _taken_over(gateway)
    assert {told.split()[0] for told in watch.stale_written} == {"epoch", "checkpoint"}


@pytest.mark.db
async def test_a_run_without_an_end_is_lost_and_one_unasked_for_is_a_duplicate(
    gateway: Gateway, tmp_path: Path
) -> None:
    watch = await _taken_over(gateway)
    await submit(gateway, dedup_key="of nobody")
    found = await faults_check.check(gateway, watch, anew={}, store=tmp_path, epochs=3, before=0)
    assert (found["lost"], found["duplicates"]) == (1, ["1 runs that nobody was told of"])
    watch.ends[next(iter(watch.asked))] = {"FAILED"}
    found = await faults_check.check(gateway, watch, anew={}, store=tmp_path, epochs=3, before=1)
    assert (found["lost"], found["failed"], found["duplicated"]) == (0, 1, 0)


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({}, []),
        ({"models": 2}, ["2 models for 1"]),
        ({"epochs": 2}, ["2 epochs for 3"]),
        ({"numbers": [1, 2, 2]}, ["numbers [1, 2, 2]"]),
        ({"steps": [4, 4]}, ["steps [4, 4]"]),
        ({"state": "FAILED", "epochs": 1}, []),
        ({"kind": "prediction", "predictions": 1, "fields": 2}, []),
        ({"kind": "prediction", "predictions": 2, "fields": 4}, ["2 predictions for 1", "4 fields for 2"]),
        ({"kind": "generation", "sequences": 2}, ["2 sequences for 1"]),
    ],
)
def test_what_is_there_twice(changed: dict[str, Any], wrong: list[str]) -> None:
    assert faults_check.twice(ROW | changed, {"steps": 2}, epochs=3) == wrong


def test_states_that_differ_are_named(tmp_path: Path) -> None:
    for run, sha256 in {"a": "1", "b": "1", "c": "2", "d": "1"}.items():
        place = tmp_path / "runs" / run / ("best-1" if run == "d" else "resume-3")
        place.mkdir(parents=True)
        (place / "config.json").write_text(json.dumps({"sha256": sha256}))
    assert faults_check.compared(tmp_path, {"a": "b"}) == (1, [])
    assert faults_check.compared(tmp_path, {"a": "c"}) == (1, ["a/resume-3"])
    assert faults_check.compared(tmp_path, {"a": "d"}) == (0, ["a: no state in common"])
