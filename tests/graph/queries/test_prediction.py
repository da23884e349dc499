"""Predictions and evaluations: chained beside the truth, scored where it is known, once per run."""

from __future__ import annotations

import json

import pytest

from graph import identity
from graph.errors import GraphError, NotFound
from graph.gateway import Gateway
from graph.queries import evaluation, prediction, runs, timeline
from graph.queries.evaluation import Stretch
from graph.queries.leases import LeaseLost
from graph.queries.prediction import NewPredicted
from tests.graph.queries import builders

pytestmark = pytest.mark.db

SEQUENCE = builders.new_sequence().uid


def start_at(t_index: int) -> str:
    """Uid of the true snapshot there."""
    return identity.snapshot_uid(SEQUENCE, t_index)


def predicted(lead: int, member: int | None = None) -> NewPredicted:
    """A predicted state with its spread."""
    return NewPredicted(
        lead=lead,
        member=member,
        sha256=builders.sha("predicted", lead, member),
        uri=f"objects/{lead}.npy",
        spread_uri="objects/spread.npy",
        spread_sha256=builders.sha("spread"),
        **builders.statistics(lead),
    )


SCORES = {
    1: {"fidelity": 0.6, "vrmse": 0.1, "persistence": 0.25, "rmse": float("nan"), "unknown": 1.0},
    2: {"fidelity": 0.4, "vrmse": 0.2, "persistence": 0.5},
}


async def predict(gateway: Gateway, checkpoint: str, t_index: int, **changes: object) -> tuple[str, runs.RunRow]:
    """Three steps from the snapshot at `t_index` by a run of its own."""
    run = await builders.started(gateway, kind="prediction", capability="interactive", inputs=[(checkpoint, "model")])
    values = {"states": [predicted(lead) for lead in (3, 1, 2)], "scores": SCORES} | changes
    uid = await prediction.record_prediction(
        gateway, run.lease, start=start_at(t_index), checkpoint=checkpoint, forcing="frozen", dt=0.5, **values
    )
    return uid, run


async def test_a_prediction_runs_beside_the_truth(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway, stop=20)
    uid, run = await predict(gateway, checkpoint, 17)

    row = await prediction.prediction(gateway, uid)
    assert (row.start, row.checkpoint, row.run) == (start_at(17), checkpoint, run.uid)
    assert (row.steps, row.members, row.forcing, row.domain) == (3, 1, "frozen", "plasma")
    assert [(s.lead, s.t_index, s.t) for s in row.states] == [(1, 18, 9.0), (2, 19, 9.5), (3, 20, 10.0)]
    assert [s.uid for s in row.states] == [identity.predicted_uid(uid, lead) for lead in (1, 2, 3)]
    assert [s.truth for s in row.states] == [start_at(18), start_at(19), None]
    assert row.states[0].scores["fidelity"] == 0.6
    assert row.states[0].scores["rmse"] is None
    assert row.states[1].scores["persistence"] == 0.5

    (walk,) = await gateway.read(
        """MATCH path = (:EnergySnapshot {uid: $start})-[:EVOLVES_TO*3 {prediction: $uid}]->(end:Predicted)
        RETURN [link IN relationships(path) | link.lead] AS leads, end.t_index AS t_index""",
        start=start_at(17),
        uid=uid,
    )
    assert walk == {"leads": [1, 2, 3], "t_index": 20}
    (copy,) = await gateway.read("MATCH (p:Prediction) RETURN p.fidelity AS f, p.vrmse AS v, p.persistence AS p")
    assert copy == {"f": 0.6, "v": 0.1, "p": 0.25}
    assert await prediction.predictions_of_run(gateway, run.uid) == [uid]
    assert (await timeline.snapshot(gateway, row.states[0].uid)).sequence is None
    assert len(await timeline.frames(gateway, SEQUENCE, 0, 30)) == 20  # what is predicted never joins the record
    (next_,) = await gateway.read("RETURN COUNT {(:Predicted)-[:NEXT]-()} AS links")
    assert next_["links"] == 0


async def test_a_repeated_attempt_finds_the_first(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway)
    uid, run = await predict(gateway, checkpoint, 5)
    again = await prediction.record_prediction(
        gateway, run.lease, start=start_at(5), checkpoint=checkpoint, forcing="frozen", dt=0.5, states=[predicted(1)]
    )
    assert again == uid
    (row,) = await gateway.read("RETURN COUNT {(:Prediction)} AS predictions, COUNT {(:Predicted)} AS states")
    assert row == {"predictions": 1, "states": 3}
    other, _ = await predict(gateway, checkpoint, 5)
    assert other != uid


async def test_members_of_an_ensemble_have_chains_of_their_own(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway)
    states = [predicted(lead, member) for member in (None, 0, 1) for lead in (1, 2)]
    uid, _ = await predict(gateway, checkpoint, 5, states=states)
    row = await prediction.prediction(gateway, uid)
    assert (row.steps, row.members, len(row.states)) == (2, 2, 6)
    links = await gateway.read(
        """MATCH (a)-[l:EVOLVES_TO {prediction: $uid}]->(b:Predicted)
        RETURN l.lead AS lead, a.member AS a, b.member AS b""",
        uid=uid,
    )
    assert sorted((link["lead"], str(link["a"]), str(link["b"])) for link in links) == [
        (1, "None", "0"),
        (1, "None", "1"),
        (1, "None", "None"),
        (2, "0", "0"),
        (2, "1", "1"),
        (2, "None", "None"),
    ]
    scored = [s for s in row.states if s.scores.get("fidelity") is not None]
    assert {s.member for s in scored} == {None}


async def test_truth_that_comes_later_is_scored_later(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway, stop=20)
    uid, _ = await predict(gateway, checkpoint, 19, scores=None)
    assert all(state.truth is None for state in (await prediction.prediction(gateway, uid)).states)
    assert await prediction.unscored(gateway, SEQUENCE) == []
    await builders.append(gateway, 20, 22)
    assert [(row.prediction, row.lead) for row in await prediction.unscored(gateway, SEQUENCE)] == [(uid, 1), (uid, 2)]
    assert await prediction.record_estimates(gateway, prediction=uid, scores=SCORES) == 2
    assert await prediction.unscored(gateway, SEQUENCE) == []
    states = (await prediction.prediction(gateway, uid)).states
    assert [state.scores.get("fidelity") for state in states] == [0.6, 0.4, None]


async def test_what_cannot_be_a_prediction_is_refused(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway)
    with pytest.raises(GraphError, match=r"leads 1 … 3 of the mean, got \[1, 3\]"):
        await predict(gateway, checkpoint, 5, states=[predicted(1), predicted(3)])
    with pytest.raises(GraphError, match="at least one"):
        await predict(gateway, checkpoint, 5, states=[])
    with pytest.raises(NotFound, match="start or Checkpoint"):
        await predict(gateway, checkpoint, 500)
    _, run = await predict(gateway, checkpoint, 5)
    await runs.transition(gateway, run.uid, "RUNNING", "CANCELLED", run.lease_token)
    with pytest.raises(LeaseLost):
        await prediction.record_prediction(
            gateway,
            run.lease,
            start=start_at(6),
            checkpoint=checkpoint,
            forcing="frozen",
            dt=0.5,
            states=[predicted(1)],
        )


async def test_an_evaluation_is_flat_where_analysts_filter_and_whole_beside_it(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway)
    run = await builders.started(gateway, kind="evaluation", inputs=[(checkpoint, "checkpoint")])
    pooled = {"mean": 0.3, "median": 0.35, "pooled": 0.4, "n": 7, "ci95": [0.38, 0.42]}
    scores = {
        "fidelity": pooled,
        "baselines": {
            "persistence": pooled | {"pooled": 0.0},
            "linear_extrapolation": pooled | {"pooled": 0.2},
            "ridge": None,
        },
        "vrmse": 0.12,
        "spread_error": float("nan"),
        "metrics": {"gradient_cosine": {"model": 0.97, "persistence": 0.9}},
        "second_law": {"violations": 0.01, "data_violations": 0.0},
        "drift": None,
        "rollout": [
            {"lead": lead, "forcing": kind, "fidelity": pooled | {"pooled": 0.4 / lead}, "vrmse": vrmse}
            for kind, vrmse in (("frozen", 0.12), ("recorded", float("nan")))
            for lead in (1, 2)
        ],
    }
    stretches = [Stretch(SEQUENCE, 12, 14), Stretch(SEQUENCE, 16, 19)]
    uid = await evaluation.record_evaluation(
        gateway, run.lease, checkpoint=checkpoint, stretches=stretches, scores=scores
    )
    assert uid == await evaluation.record_evaluation(
        gateway, run.lease, checkpoint=checkpoint, stretches=stretches, scores={}
    )
    row = await evaluation.evaluation(gateway, uid)
    assert (row.fidelity, row.fidelity_low, row.fidelity_high, row.n, row.vrmse) == (0.4, 0.38, 0.42, 7, 0.12)
    leads = [lead | {"vrmse": None if lead["forcing"] == "recorded" else 0.12} for lead in scores["rollout"]]
    assert row.scores == scores | {"spread_error": None, "rollout": leads}
    assert (row.checkpoint, row.run, row.stretches) == (checkpoint, run.uid, tuple(stretches))
    assert await evaluation.evaluations_of_checkpoint(gateway, checkpoint) == [row]
    assert await evaluation.evaluations_of_run(gateway, run.uid) == [row]
    (flat,) = await gateway.read("MATCH (v:Evaluation) RETURN v.linear_fidelity AS l, v.ridge_fidelity AS r")
    assert flat == {"l": 0.2, "r": None}
    (flat,) = await gateway.read("MATCH (v:Evaluation) RETURN v {.*} AS v")
    flat = flat["v"]
    assert (flat["gradient_cosine"], flat["second_law_violations"], flat["horizon"]) == (0.97, 0.01, 2)
    assert flat["rollout_leads"] == [1, 2, 1, 2]
    assert flat["rollout_forcings"] == ["frozen", "frozen", "recorded", "recorded"]
    assert flat["rollout_fidelities"] == [0.4, 0.2, 0.4, 0.2]
    assert "rollout_vrmses" not in flat, "Neo4j keeps no null within a list"
    assert "rollout" not in json.loads(flat["scores_json"])


async def test_an_evaluation_of_what_is_not_there_is_refused(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway)
    run = await builders.started(gateway, kind="evaluation")
    with pytest.raises(NotFound, match="Checkpoint"):
        await evaluation.record_evaluation(gateway, run.lease, checkpoint="nowhere", stretches=[], scores={})
    with pytest.raises(NotFound, match="Sequence"):
        await evaluation.record_evaluation(
            gateway, run.lease, checkpoint=checkpoint, stretches=[Stretch("nowhere", 0, 1)], scores={}
        )
    with pytest.raises(NotFound, match="Evaluation"):
        await evaluation.evaluation(gateway, "nowhere")
    assert await evaluation.evaluations_of_run(gateway, run.uid) == []
