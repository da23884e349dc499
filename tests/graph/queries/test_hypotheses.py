"""Hypotheses: one node per claim, what each run found of it, and the evidence either way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graph import models
from graph.errors import GraphError, NotFound
from graph.gateway import Gateway
from graph.queries import ace, hypotheses, runs, sequences
from graph.queries.ace import NewVote
from graph.queries.leases import Lease, LeaseLost
from tests.graph.queries import builders
from tests.graph.queries.experiments import CLAIM, evaluated, experiment, proposed, walk

pytestmark = pytest.mark.db

LINKS = """
MATCH (h:Hypothesis {uid: $uid})-[link:SUPPORTED_BY|REFUTED_BY]->(v:Evaluation)
RETURN type(link) AS type, v.uid AS evaluation, link.weight AS weight ORDER BY type, evaluation
"""


@pytest.fixture(autouse=True)
async def _domain(gateway: Gateway) -> None:
    await sequences.upsert_domain(gateway, builders.DOMAIN)


async def test_a_claim_is_one_node_however_it_is_said(gateway: Gateway) -> None:
    rows = await asyncio.gather(*(proposed(gateway, text=f"it holds, {n}") for n in range(8)))
    (uid,) = {row.uid for row in rows}
    row = await hypotheses.hypothesis(gateway, uid)
    assert row == rows[0]
    assert (row.claim, row.credence, row.verdict, row.domain, row.refines) == (CLAIM, 0.5, "untested", "plasma", ())
    flat = (
        await gateway.read("MATCH (h:Hypothesis)-[:ABOUT]->(d:Domain) RETURN properties(h) AS h, d.name AS domain")
    )[0]
    assert flat["domain"] == "plasma"
    assert {name: flat["h"][name] for name in ("metric", "comparator", "threshold", "model", "horizon")} == {
        name: CLAIM[name] for name in ("metric", "comparator", "threshold", "model", "horizon")
    }
    assert flat["h"]["perturbation"] == "gaussian_noise"


@pytest.mark.parametrize(
    "wrong",
    [
        *({"text": text} for text in ("  ", "two\nlines", "\ud800", "x" * 501)),
        *({"credence": credence} for credence in (1.1, -0.1, float("nan"))),
    ],
)
async def test_what_is_no_hypothesis_is_refused(gateway: Gateway, wrong: dict[str, Any]) -> None:
    with pytest.raises(GraphError, match="expected a sentence of 1 to 500 printable characters and a credence"):
        await proposed(gateway, **wrong)
    with pytest.raises(NotFound, match="no Domain with name 'moon'"):
        await proposed(gateway, about="moon")
    with pytest.raises(NotFound, match="Hypothesis"):
        await proposed(gateway, refines="nowhere")
    assert await hypotheses.hypotheses(gateway) == []


async def test_refinements_are_a_tree(gateway: Gateway) -> None:
    root = await proposed(gateway, key="root")
    child = await proposed(gateway, key="child", refines=root.uid)
    grandchild = await proposed(gateway, key="grandchild", refines=child.uid)
    assert child.refines == (root.uid,)
    # the same claim comes up again below itself
    assert (await proposed(gateway, key="root", refines=grandchild.uid)).refines == ()
    assert (await proposed(gateway, key="root", refines=root.uid)).refines == ()
    assert (await proposed(gateway, key="grandchild", refines=root.uid)).refines == tuple(sorted((root.uid, child.uid)))


async def test_pages_are_latest_first_and_narrowed(gateway: Gateway) -> None:
    made = [await proposed(gateway, key=str(n)) for n in range(5)]
    page = await hypotheses.hypotheses(gateway, limit=2)
    assert [row.uid for row in page] == [made[4].uid, made[3].uid]
    rest = await hypotheses.hypotheses(gateway, after=page[-1].uid, domain="plasma", verdict="untested")
    assert [row.uid for row in rest] == [row.uid for row in reversed(made[:3])]
    assert await hypotheses.hypotheses(gateway, verdict="refuted") == []
    assert await hypotheses.hypotheses(gateway, domain="moon") == []


async def test_a_run_takes_up_and_settles(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway)
    evaluations = [await evaluated(gateway, checkpoint, last=last) for last in (18, 19)]
    row, run = await proposed(gateway), await experiment(gateway)
    assert await hypotheses.take_up(gateway, run.lease, row.uid) == row
    (test,) = await hypotheses.tested(gateway, run.uid)
    assert (test.verdict, test.prior, test.credence, test.result) == (None, 0.5, None, {})

    for _ in range(2):  # as after an answer that was lost on its way
        await hypotheses.settle(
            gateway,
            run.lease,
            hypothesis=row.uid,
            verdict="supported",
            credence=0.9,
            weight=0.95,
            evidence=evaluations,
            result={"effect": 0.1, "low": float("-inf")},
        )
    (test,) = await hypotheses.tested(gateway, run.uid)
    assert (test.verdict, test.prior, test.credence, test.weight) == ("supported", 0.5, 0.9, 0.95)
    assert test.result == {"effect": 0.1, "low": None}
    assert (test.hypothesis.verdict, test.hypothesis.credence) == ("supported", 0.9)
    assert test.hypothesis.settled_at == test.settled_at
    links = await gateway.read(LINKS, uid=row.uid)
    assert [tuple(link.values()) for link in links] == [("SUPPORTED_BY", uid, 0.95) for uid in sorted(evaluations)]
    cited = await gateway.read("MATCH (:ACERun)-[u:USED]->(v:Evaluation) RETURN v.uid AS uid, u.role AS role")
    assert sorted((one["uid"], one["role"]) for one in cited) == [(uid, "evidence") for uid in sorted(evaluations)]


async def settle(gateway: Gateway, lease: Lease, uid: str, evidence: list[str], **changes: Any) -> None:
    """Settle it as refuted."""
    found: dict[str, Any] = {"verdict": "refuted", "credence": 0.2, "weight": -0.6}
    await hypotheses.settle(gateway, lease, hypothesis=uid, evidence=evidence, **(found | changes))


async def test_a_later_round_overwrites_and_a_later_run_does_not(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway)
    evidence = [await evaluated(gateway, checkpoint)]
    row, run = await proposed(gateway), await experiment(gateway)
    await settle(gateway, run.lease, row.uid, evidence, verdict="supported", credence=0.7)
    await settle(gateway, run.lease, row.uid, evidence)
    assert [link["type"] for link in await gateway.read(LINKS, uid=row.uid)] == ["REFUTED_BY"]

    other = await experiment(gateway)
    await settle(gateway, other.lease, row.uid, evidence, verdict="undetermined", credence=0.25, weight=0.0)
    again = await experiment(gateway)
    await settle(gateway, again.lease, row.uid, evidence, verdict="undetermined", credence=0.5, weight=0.0, prior=0.5)
    (first,), (second,) = [await hypotheses.tested(gateway, uid) for uid in (run.uid, other.uid)]
    assert (first.verdict, first.prior, first.credence) == ("refuted", 0.5, 0.2)
    assert (second.verdict, second.prior, second.credence) == ("undetermined", 0.2, 0.25)
    # one that leaves it open takes nothing back
    assert (second.hypothesis.verdict, second.hypothesis.credence) == ("refuted", 0.2)
    assert second.hypothesis.settled_at == first.settled_at
    assert [test.prior for test in await hypotheses.tested(gateway, again.uid)] == [0.5]
    # what leaves it open speaks neither way; what the first run found still stands
    assert [link["type"] for link in await gateway.read(LINKS, uid=row.uid)] == ["REFUTED_BY"]
    cited = await gateway.read("MATCH (r:ACERun {uid: $uid})-[:USED]->(v) RETURN v.uid AS uid", uid=other.uid)
    assert [one["uid"] for one in cited] == evidence


@pytest.mark.parametrize(
    "wrong", [{"verdict": "true"}, {"verdict": "untested"}, {"credence": -0.1}, {"weight": float("inf")}]
)
async def test_what_is_no_verdict_is_refused(gateway: Gateway, wrong: dict[str, Any]) -> None:
    row, run = await proposed(gateway), await experiment(gateway)
    with pytest.raises(GraphError, match="expected one of supported, refuted, undetermined"):
        await settle(gateway, run.lease, row.uid, [], **wrong)
    with pytest.raises(NotFound, match="Evaluation"):
        await settle(gateway, run.lease, row.uid, ["nowhere"])
    with pytest.raises(NotFound, match="Hypothesis"):
        await settle(gateway, run.lease, "nowhere", [])
    assert await hypotheses.hypothesis(gateway, row.uid) == row
    assert await hypotheses.tested(gateway, run.uid) == []


async def test_a_lost_lease_writes_nothing(gateway: Gateway) -> None:
    row, run = await proposed(gateway), await experiment(gateway)
    await runs.transition(gateway, run.uid, "RUNNING", "CANCELLED", run.lease_token)
    for stale in (
        hypotheses.take_up(gateway, run.lease, row.uid),
        settle(gateway, run.lease, row.uid, []),
        proposed(gateway, key="next", refines=row.uid, lease=run.lease),
    ):
        with pytest.raises(LeaseLost):
            await stale
    assert await hypotheses.hypotheses(gateway) == [row]
    assert await hypotheses.tested(gateway, run.uid) == []


async def test_one_drawn_by_hand_is_listed_too(gateway: Gateway) -> None:
    await gateway.write("CREATE (:Hypothesis {uid: 'front-passes', text: 'a front passes'})")
    (row,) = await hypotheses.hypotheses(gateway)
    assert (row.key, row.claim, row.verdict, row.credence) == (None, {}, "untested", None)


async def test_neomodel_reads_what_is_written(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway)
    evidence = [await evaluated(gateway, checkpoint)]
    row, run = await proposed(gateway), await experiment(gateway)
    await settle(gateway, run.lease, row.uid, evidence)
    await gateway.connect_models()
    found: Any = await models.Hypothesis.nodes.get(uid=row.uid)
    tester: Any = await found.tested_by.single()
    assert type(tester).__name__ == "ACERun"
    assert (await found.tested_by.relationship(tester)).verdict == "refuted"
    (against,) = await found.refuted_by.all()
    assert (await found.refuted_by.relationship(against)).run == run.uid
    assert (await tester.cites.single()).uid == evidence[0]
    await found.save()

    await walk(gateway, run.lease, until="spawn")
    await ace.record_votes(gateway, run.lease, [NewVote(member=0, sha256="aa", agrees=True, starts=3, agreed=2)])
    rows = await gateway.read(
        "MATCH (n) WHERE n:Stage OR n:Vote OR n:Hypothesis RETURN labels(n)[0] AS label, keys(n) AS keys"
    )
    assert {row["label"] for row in rows} == {"Stage", "Vote", "Hypothesis"}
    for row in rows:
        declared = getattr(models, row["label"]).defined_properties(aliases=False, rels=False)
        assert set(row["keys"]) <= declared.keys()
