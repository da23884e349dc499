"""Violations and energy vectors: written once, found by domain, law and regime, linked to what they are about."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import Any

import pytest

from graph import identity, models
from graph.gateway import Gateway
from graph.queries import listings, prediction, vector_logs, violations
from graph.queries.prediction import NewPredicted
from graph.queries.vector_logs import NewLog
from graph.queries.violations import NewViolation
from tests.graph.queries import builders

pytestmark = pytest.mark.db

SEQUENCE = builders.new_sequence().uid
FOUND = [
    NewViolation(law="entropy", lead=2, value=-0.5, limit=-1e-5),
    NewViolation(law="energy", lead=1, value=math.inf, limit=1e-5),
    # a member whose states are not kept
    NewViolation(law="negative", lead=1, member=3, value=-0.25, limit=0.0),
]


async def predicted(gateway: Gateway, checkpoint: str, t_index: int, **changes: Any) -> str:
    """Three steps from there, by a run of its own."""
    run = await builders.started(gateway, kind="prediction", capability="interactive", inputs=[(checkpoint, "model")])
    states = [
        NewPredicted(
            lead=lead, sha256=builders.sha(t_index, lead), uri=f"objects/{lead}.npy", **builders.statistics(lead)
        )
        for lead in (1, 2, 3)
    ]
    return await prediction.record_prediction(
        gateway,
        run.lease,
        start=identity.snapshot_uid(SEQUENCE, t_index),
        checkpoint=checkpoint,
        forcing="frozen",
        dt=0.5,
        **({"states": states, "scores": {}} | changes),
    )


def log_of(row: vector_logs.Unlogged, **changes: Any) -> NewLog:
    """What the energy vector of a state might be."""
    numbers = {
        "domain": row.domain,
        "regime": "smooth",
        "lead": row.lead,
        "step": row.step,
        "predicted_mean": 1.0,
        "observed_mean": 1.0,
        "rmse": 0.3,
        "persistence_rmse": 0.4,
        "fidelity": 0.25,
        "field_fidelity": math.nan,
        "model": row.model,
        "version": row.version,
        "checkpoint": row.checkpoint,
    }
    return NewLog(
        prediction=row.prediction,
        predicted=row.predicted,
        snapshot=row.snapshot,
        timestamp=row.timestamp.isoformat(),
        properties=numbers | changes,
    )


async def test_violations_are_written_with_their_prediction(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway)
    uid = await predicted(gateway, checkpoint, 5, violations=FOUND)
    found = await violations.violations(gateway, uid)
    assert [(row.law, row.lead, row.member, row.value) for row in found] == [
        ("energy", 1, None, None),
        ("negative", 1, 3, -0.25),
        ("entropy", 2, None, -0.5),
    ]
    assert [row.snapshot for row in found] == [identity.predicted_uid(uid, 1), None, identity.predicted_uid(uid, 2)]
    assert {(row.prediction, row.domain) for row in found} == {(uid, "plasma")}
    assert (await prediction.prediction(gateway, uid)).violation_count == 3
    # which predictions violate what, by how much: in Cypher as an analyst would ask
    (asked,) = await gateway.read(
        """MATCH (p:Prediction)-[:VIOLATES]->(v:Violation {law: 'entropy'})-[:AT]->(e:Predicted)
        WHERE p.violation_count > 0 RETURN p.uid AS uid, e.lead AS lead, v.value - v.limit AS by"""
    )
    assert asked == {"uid": uid, "lead": 2, "by": pytest.approx(-0.5 + 1e-5)}


async def test_none_is_not_the_same_as_never_checked(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway)
    clean = await predicted(gateway, checkpoint, 5, violations=[])
    unchecked = await predicted(gateway, checkpoint, 6)
    assert (await prediction.prediction(gateway, clean)).violation_count == 0
    assert (await prediction.prediction(gateway, unchecked)).violation_count is None
    assert await violations.violations(gateway, clean) == []


async def test_a_repeated_attempt_violates_nothing_twice(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway)
    run = await builders.started(gateway, kind="prediction", capability="interactive")
    state = NewPredicted(lead=1, sha256=builders.sha(1), uri="objects/1.npy", **builders.statistics(1))
    for _ in range(2):
        await prediction.record_prediction(
            gateway,
            run.lease,
            start=identity.snapshot_uid(SEQUENCE, 5),
            checkpoint=checkpoint,
            forcing="frozen",
            dt=0.5,
            states=[state],
            violations=FOUND[1:2],
        )
    (row,) = await gateway.read("RETURN COUNT {(:Violation)} AS count")
    assert row["count"] == 1


async def test_a_state_is_logged_once_whoever_comes(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway, stop=20)
    uid = await predicted(gateway, checkpoint, 17)
    rows = await vector_logs.unlogged_of_prediction(gateway, uid)
    assert [(row.lead, row.step, row.snapshot) for row in rows] == [
        (lead, 17 + lead, identity.snapshot_uid(SEQUENCE, 17 + lead)) for lead in (1, 2)
    ], "the truth of the third is not known"
    assert rows == await vector_logs.unlogged_of_sequence(gateway, SEQUENCE)
    assert rows[0].predicted == identity.predicted_uid(uid, 1)
    assert (rows[0].model, rows[0].version, rows[0].checkpoint) == ("ridge", "0.1.0", builders.sha("weights", 1))

    logs = [log_of(row) for row in rows]
    written = await asyncio.gather(*(vector_logs.record_logs(gateway, logs) for _ in range(6)))
    assert sorted(found for by in written for found in by) == sorted(log.predicted for log in logs)
    assert await vector_logs.record_logs(gateway, logs) == set()
    assert await vector_logs.record_logs(gateway, []) == set()
    assert await vector_logs.unlogged_of_sequence(gateway, SEQUENCE) == []
    (links,) = await gateway.read(
        """MATCH (p:Prediction)<-[:LOGS]-(l:PredictionLog)-[:AGAINST]->(e:Simulated)
        WHERE l.timestamp = p.created_at AND l.step = e.t_index AND l.field_fidelity IS NULL RETURN count(l) AS n"""
    )
    assert links == {"n": 2}

    await builders.append(gateway, 20, 21)
    await prediction.record_estimates(gateway, prediction=uid, scores={})
    assert [row.lead for row in await vector_logs.unlogged_of_prediction(gateway, uid)] == [3]


async def test_logs_add_up_by_domain_and_regime(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway, stop=20)
    rows = [
        row
        for t_index in (10, 11)
        for row in await vector_logs.unlogged_of_prediction(gateway, await predicted(gateway, checkpoint, t_index))
    ]
    changes: list[dict[str, Any]] = [
        {},
        {"rmse": 0.1, "fidelity": 0.75},
        {"regime": "rough", "rmse": 0.4, "fidelity": 0.0},
        # a static pair has a rmse and no fidelity
        {"fidelity": None, "rmse": 0.0, "persistence_rmse": 0.0},
        {"rmse": 0.2, "fidelity": 0.5},
        {"domain": "fluid", "regime": "rough"},
    ]
    await vector_logs.record_logs(gateway, [log_of(row, **change) for row, change in zip(rows, changes, strict=True)])
    both = await vector_logs.summary(gateway)
    assert [(row.domain, row.regime, row.n, row.moving) for row in both] == [
        ("fluid", "rough", 1, 1),
        ("plasma", "rough", 1, 1),
        ("plasma", "smooth", 4, 3),
    ]
    smooth = both[2]
    assert smooth.pooled == pytest.approx(1 - math.sqrt((0.3**2 + 0.1**2 + 0.2**2) / (3 * 0.4**2)))
    assert (smooth.mean, smooth.median) == (pytest.approx(0.5), pytest.approx(0.5))
    assert smooth.rmse == pytest.approx(math.sqrt((0.3**2 + 0.1**2 + 0.2**2) / 4))
    assert smooth.persistence_rmse == pytest.approx(math.sqrt(3 * 0.4**2 / 4))
    assert smooth.field_fidelity is None
    assert [(row.domain, row.regime, row.n) for row in await vector_logs.summary(gateway, ["regime"])] == [
        (None, "rough", 2),
        (None, "smooth", 4),
    ]
    (only,) = await vector_logs.summary(gateway, ["domain"], domain="plasma", regime="rough")
    assert (only.domain, only.regime, only.pooled) == ("plasma", None, pytest.approx(0.0))
    assert await vector_logs.summary(gateway, domain="nowhere") == []

    async def listed(**where: str) -> list[tuple[str, str]]:
        filters = {"domain": None, "regime": None} | where
        found = await listings.page(
            gateway, listings.select("prediction_logs", filters), limit=9, after=None, where=filters
        )
        return [(row.node["domain_name"], row.node["regime"]) for row in found]

    assert len(await listed()) == 6
    assert set(await listed(domain="plasma", regime="rough")) == {("plasma", "rough")}
    assert set(await listed(regime="rough")) == {("plasma", "rough"), ("fluid", "rough")}


async def test_violations_are_listed_by_domain_and_law(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway)
    for t_index in (5, 6):
        await predicted(gateway, checkpoint, t_index, violations=[replace(one, lead=2) for one in FOUND])

    async def listed(**where: str) -> list[str]:
        filters = {"domain": None, "law": None} | where
        found = await listings.page(gateway, listings.select("violations", filters), limit=9, after=None, where=filters)
        uids = [row.node["uid"] for row in found]
        assert uids == sorted(uids, reverse=True), "latest first"
        return [row.node["law"] for row in found]

    assert len(await listed()) == len(await listed(domain="plasma")) == 6
    assert await listed(domain="plasma", law="entropy") == await listed(law="entropy") == ["entropy", "entropy"]
    assert await listed(domain="fluid") == []


async def test_neomodel_reads_what_became_of_a_prediction(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway, stop=20)
    uid = await predicted(gateway, checkpoint, 17, violations=FOUND[:1])
    rows = await vector_logs.unlogged_of_prediction(gateway, uid)
    await vector_logs.record_logs(gateway, [log_of(rows[0])])
    await gateway.connect_models()
    violation = await models.Violation.nodes.get(prediction=uid)
    assert (await violation.violated_by.single()).uid == uid
    assert (await violation.at.single()).lead == 2
    log = await models.PredictionLog.nodes.get(prediction=uid)
    assert (await log.logs.single()).uid == uid
    assert (await log.against.single()).t_index == 18
    for node in (violation, log):
        await node.save()
    names = await gateway.read(
        "MATCH (n) WHERE n:Violation OR n:PredictionLog RETURN labels(n) AS labels, keys(n) AS keys"
    )
    for row in names:
        (label,) = row["labels"]
        assert set(row["keys"]) <= getattr(models, label).defined_properties(aliases=False, rels=False).keys()
