"""Certificates of what the graph knows: one per run, one chain, and whatever is changed afterwards is found."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest

from graph.gateway import Gateway
from graph.queries import certificates, evaluation, runs, training
from graph.queries.evaluation import Stretch
from graph.queries.leases import Lease
from resolvers.certificates.issuing import Finding, audit, issue
from resolvers.certificates.signing import follows, public_key, verify
from resolvers.certificates.statement import Invalid, Refused
from tests.graph.queries import builders
from tests.resolvers.certificates.statements import KEY, sha

pytestmark = pytest.mark.db

SPENT = {"energy_joules": 12.5, "energy_source": "estimated"}


async def ended(gateway: Gateway, lease: Lease, *, state: str = "SUCCEEDED", **fields: Any) -> str:
    """The run of this lease at its end."""
    row = await runs.transition(gateway, lease.run, "RUNNING", state, lease.token, **fields)
    assert row is not None
    return row.uid


async def trained(gateway: Gateway) -> tuple[str, str, str]:
    """(run, split, checkpoint) of a training that has finished and was accounted for."""
    lease, split, checkpoint = await builders.trained(gateway)
    model = (await training.checkpoint(gateway, checkpoint)).model.uid
    await training.finish_model(gateway, lease, model=model, best_checkpoint=checkpoint)
    return await ended(gateway, lease, **SPENT), split, checkpoint


async def plain(gateway: Gateway, **fields: Any) -> str:
    """A run without inputs or outputs, finished."""
    return await ended(gateway, (await builders.started(gateway)).lease, **(SPENT | fields))


async def found(gateway: Gateway) -> list[Finding]:
    return [each async for _, many in audit(gateway) for each in many]


async def test_a_certificate_says_what_the_graph_knows(gateway: Gateway) -> None:
    run, split, checkpoint = await trained(gateway)
    signed, new = await issue(gateway, run, KEY)
    assert new
    said = verify(signed.document(), key=public_key(KEY)).statement
    row = await runs.run(gateway, run)
    assert (said.number, said.previous_digest) == (1, certificates.BEFORE_ALL)
    assert (said.run.uid, said.run.kind, said.run.state) == (run, "training", "SUCCEEDED")
    assert (said.accounting.energy_joules, said.accounting.energy_source, said.accounting.budget) == (
        12.5,
        "estimated",
        None,
    )
    assert row.started_at is not None
    assert row.finished_at is not None
    assert said.accounting.seconds == pytest.approx((row.finished_at - row.started_at).total_seconds(), abs=2e-6)
    assert [(cited.label, cited.uid, cited.role) for cited in said.inputs] == [("Split", split, "split")]
    outputs = {cited.label: cited for cited in said.outputs}
    assert set(outputs) == {"Checkpoint", "Model"}
    assert (outputs["Checkpoint"].uid, outputs["Checkpoint"].sha256) == (checkpoint, sha(repr(("weights", 1))))
    (metric,) = said.metrics
    assert (metric.of, metric.name, metric.value) == (checkpoint, "val_fidelity", 0.3)
    (node,) = await gateway.read(
        "MATCH (:Run {uid: $run})-[:CERTIFIED_BY]->(c:Certificate) RETURN c.digest AS digest, c.canonical_json AS text",
        run=run,
    )
    assert node == {"digest": signed.digest, "text": signed.text}
    assert await found(gateway) == []


async def test_a_run_has_one_certificate_and_all_are_one_chain(gateway: Gateway) -> None:
    uids = [await plain(gateway) for _ in range(4)]
    # each asked for by three at once
    answers = await asyncio.gather(*(issue(gateway, uid, KEY) for uid in uids * 3))
    assert sum(new for _, new in answers) == len(uids)
    by_run = {signed.statement.run.uid: signed for signed, _ in answers}
    assert {signed.digest for signed, _ in answers} == {signed.digest for signed in by_run.values()}
    chain = sorted(by_run.values(), key=lambda signed: signed.statement.number)
    assert [signed.statement.number for signed in chain] == [1, 2, 3, 4]
    for earlier, later in pairwise(chain):
        follows(later, earlier)
    rows = await certificates.chain(gateway)
    assert [row.follows for row in rows] == [None, *(row.digest for row in rows[:-1])]
    assert await found(gateway) == []


async def test_which_runs_cannot_have_one(gateway: Gateway) -> None:
    async def code(uid: str) -> str:
        with pytest.raises(Refused) as caught:
            await issue(gateway, uid, KEY)
        assert "\n" not in str(caught.value)
        return caught.value.code

    assert await code((await builders.started(gateway)).uid) == "RUN_NOT_SUCCEEDED"
    failed = await ended(gateway, (await builders.started(gateway)).lease, state="FAILED", **SPENT)
    assert await code(failed) == "RUN_NOT_SUCCEEDED"
    assert await code(await plain(gateway, energy_joules=None)) == "ACCOUNTING_MISSING"
    assert await code(await plain(gateway, energy_source=None)) == "ACCOUNTING_MISSING"
    assert await code(await plain(gateway, energy_joules=-1.0)) == "ACCOUNTING_MISSING"
    for count, expected in ((None, "ACCOUNTING_MISSING"), (2, "LAWS_VIOLATED")):
        run = await plain(gateway)
        await gateway.write(
            "MATCH (r:Run {uid: $run}) "
            "CREATE (:Prediction {uid: $uid, violation_count: $count})-[:WAS_GENERATED_BY]->(r)",
            run=run, uid=f"prediction of {run}", count=count,
        )  # fmt: skip
        assert await code(run) == expected
    assert await certificates.chain(gateway) == []


@pytest.mark.parametrize(
    ("asked", "refused"),
    [("13J", None), ("0.0125kJ", None), ("90s", None), ("12J", "BUDGET_EXCEEDED"), ("0.012kJ", "BUDGET_EXCEEDED"),
     ("0s", "ACCOUNTING_MISSING"), ("13", "ACCOUNTING_MISSING"),
     ("13ks", "ACCOUNTING_MISSING"), ("-1J", "ACCOUNTING_MISSING")],
)  # fmt: skip
async def test_a_budget_is_kept(asked: str, refused: str | None, gateway: Gateway) -> None:
    lease = (await builders.started(gateway, config={"compute_budget": asked})).lease
    run = await ended(gateway, lease, **SPENT)
    if refused is None:
        budget = (await issue(gateway, run, KEY))[0].statement.accounting.budget
        assert budget is not None
        assert (budget.amount, budget.unit) in [(13.0, "J"), (12.5, "J"), (90.0, "s")]
    else:
        with pytest.raises(Refused) as caught:
            await issue(gateway, run, KEY)
        assert caught.value.code == refused


OUTCOMES = {
    "epoch": "CREATE (r)-[:EPOCH]->(:Epoch {uid: 'e', epoch: 1, step: 3, val_loss: 0.5})",
    "step": "CREATE (:RelaxationStep {uid: 's', run: r.uid, index: 0, energy: 1.5, eta: [0.5]})",
    "point": "CREATE (:SweepPoint {uid: 'p', run: r.uid, index: 0, energy: 1.5, at: [0.0]})",
    "candidate": "CREATE (r)-[:WEIGHS]->(:ExpansionCandidate {uid: 'c', index: 0, energy_after: 1.5})",
    "gate": "CREATE (r)-[:DECIDED]->(:GateEvent {uid: 'g', key: 'k', eta: 0.5})",
    "run": "SET r.energy = 1.5",
}


@pytest.mark.parametrize("what", OUTCOMES)
async def test_what_a_run_knows_of_its_end_is_covered(what: str, gateway: Gateway) -> None:
    run = await plain(gateway)
    await gateway.write("MATCH (r:Run {uid: $run}) " + OUTCOMES[what], run=run)  # type: ignore[arg-type]
    said = (await issue(gateway, run, KEY))[0].statement
    assert [(cited.label, cited.uid, cited.role) for cited in said.outputs] == [("Run", run, "outcome")]
    assert await found(gateway) == []
    await gateway.write(
        "MATCH (n) WHERE n:Epoch OR n:RelaxationStep OR n:SweepPoint OR n:ExpansionCandidate OR n:GateEvent "
        "OR n.energy IS NOT NULL SET n.energy = 2.5, n.val_loss = 0.25, n.energy_after = 2.5, n.eta = 0.75"
    )
    assert {each.code for each in await found(gateway)} == {"CHANGED_SINCE"}


async def test_an_ace_run_brings_hypothesis_stages_and_votes(gateway: Gateway) -> None:
    run = await plain(gateway)
    await gateway.write(
        """MATCH (r:Run {uid: $run}) SET r.kind = 'ace'
        CREATE (:Hypothesis {uid: 'h', text: 'it holds', claim_json: '{"metric":"fidelity"}', credence: 0.8,
          verdict: 'supported'})-[:TESTED_BY]->(r)
        CREATE (r)-[:STAGE]->(:Stage {name: 'plan', energy_joules: 1.5, energy_source: 'estimated',
          started_at: datetime(), finished_at: datetime()})
        CREATE (r)-[:VOTE]->(:Vote {member: 0, sha256: 'aa', agrees: true})
        CREATE (r)-[:VOTE]->(:Vote {member: 1, sha256: 'bb', agrees: false})
        CREATE (r)-[:VOTE]->(:Vote {member: 2, sha256: 'cc', agrees: false})""",
        run=run,
    )
    with pytest.raises(Refused, match="2 different members of 3 to agree, got 1"):
        await issue(gateway, run, KEY)
    await gateway.write("MATCH (v:Vote {member: 2}) SET v.agrees = true")
    said = (await issue(gateway, run, KEY))[0].statement
    assert [(each.verdict, each.text_sha256) for each in said.hypotheses] == [("supported", sha("it holds"))]
    assert [(each.name, each.energy_joules) for each in said.stages] == [("plan", 1.5)]
    assert [each.agrees for each in said.votes] == [True, False, True]


async def test_an_evaluation_brings_its_scores(gateway: Gateway) -> None:
    _, _, checkpoint = await trained(gateway)
    lease = (await builders.started(gateway, kind="evaluation", inputs=[(checkpoint, "checkpoint")])).lease
    stretch = Stretch(builders.new_sequence().uid, 12, 19)
    scores = {"fidelity": {"pooled": 0.5, "n": 7}, "vrmse": 0.25}
    uid = await evaluation.record_evaluation(gateway, lease, checkpoint=checkpoint, stretches=[stretch], scores=scores)
    run = await ended(gateway, lease, **SPENT)
    said = (await issue(gateway, run, KEY))[0].statement
    assert [(cited.label, cited.sha256) for cited in said.inputs] == [("Checkpoint", sha(repr(("weights", 1))))]
    assert [(cited.label, cited.uid) for cited in said.outputs] == [("Evaluation", uid)]
    assert {metric.name: metric.value for metric in said.metrics} == {"fidelity": 0.5, "vrmse": 0.25, "n": 7.0}


CHANGES = {
    "NODE_CHANGED": "MATCH (c:Certificate {number: 2}) SET c.energy_joules = 1.0",
    "DIGEST_MISMATCH": "MATCH (c:Certificate {number: 2}) SET c.canonical_json = replace(c.canonical_json, '.5', '.4')",
    "BAD_SIGNATURE": "MATCH (c:Certificate {number: 2}) SET c.signature = '00' + substring(c.signature, 2)",
    "BROKEN_CHAIN": "MATCH (c:Certificate {number: 1}) DETACH DELETE c",
    "BROKEN_LINK": "MATCH (:Run)-[link:CERTIFIED_BY]->(:Certificate {number: 2}) DELETE link",
    "NOT_FOUND": "MATCH (r:Run)-[:CERTIFIED_BY]->(:Certificate {number: 2}) REMOVE r:Run",
    "CHANGED_SINCE": "MATCH (c:Checkpoint) SET c.sha256 = 'ff'",
}


@pytest.mark.parametrize(("code", "change"), CHANGES.items())
async def test_whatever_is_changed_in_the_graph_is_found(code: str, change: Any, gateway: Gateway) -> None:
    await issue(gateway, await plain(gateway), KEY)
    run, _, _ = await trained(gateway)
    await issue(gateway, run, KEY)
    assert await found(gateway) == []
    await gateway.write(change)
    codes = {each.code for each in await found(gateway)}
    assert code in codes
    assert all(each.run == run for each in await found(gateway))
    if code in ("DIGEST_MISMATCH", "BAD_SIGNATURE", "NODE_CHANGED"):
        # what was changed is not given out
        with pytest.raises(Invalid):
            await issue(gateway, run, KEY)


async def test_spent_energy_cannot_be_changed_afterwards(gateway: Gateway) -> None:
    run = await plain(gateway)
    await issue(gateway, run, KEY)
    await gateway.write("MATCH (r:Run {uid: $run}) SET r.energy_joules = 1.0", run=run)
    assert [each.code for each in await found(gateway)] == ["CHANGED_SINCE"]


FACTS: dict[str, tuple[str, str, Any]] = {
    "run.config_sha256": ("(x:Run {kind: 'training'})", "config_json", '{"steps":1}'),
    "run.rng_seed": ("(x:Run {kind: 'training'})", "rng_seed", 99),
    "run.code_version": ("(x:Run {kind: 'training'})", "code_version", "another"),
    "run.device": ("(x:Run {kind: 'training'})", "device", "another"),
    "run.offline": ("(x:Run {kind: 'training'})", "offline", True),
    "val_fidelity of": ("(x:Checkpoint)", "val_fidelity", 0.99),
    "laws.violations": ("(x:Prediction)", "violation_count", 3),
    "fidelity of": ("(x:Prediction)", "fidelity", 0.99),
    "an account": ("(x:Run {kind: 'prediction'})", "energy_joules", None),
}


async def test_each_fact_of_a_certificate_is_held_against_the_graph(gateway: Gateway) -> None:
    run, _, _ = await trained(gateway)
    lease = (await builders.started(gateway, kind="prediction")).lease
    await gateway.write(
        "MATCH (r:Run {uid: $run}) "
        "CREATE (:Prediction {uid: 'p', violation_count: 0, fidelity: 0.5})-[:WAS_GENERATED_BY]->(r)",
        run=lease.run,
    )
    for uid in (run, await ended(gateway, lease, **SPENT)):
        await issue(gateway, uid, KEY)
    for name, (where, field, value) in FACTS.items():
        swap: Any = f"MATCH {where} WITH x, x.{field} AS was SET x.{field} = $value RETURN was"
        (row,) = await gateway.write(swap, value=value)
        (finding,) = await found(gateway)
        assert finding.code == "CHANGED_SINCE", name
        assert finding.message.startswith(f"expected {name}")
        await gateway.write(swap, value=row["was"])
    assert await found(gateway) == []


async def test_numbers_that_came_later_contradict_nothing(gateway: Gateway) -> None:
    run, _, _ = await trained(gateway)
    await issue(gateway, run, KEY)
    await gateway.write("MATCH (m:Model) SET m.best_checkpoint = 'a later one'")
    assert await found(gateway) == []


async def test_its_nodes_are_those_that_the_models_declare(gateway: Gateway) -> None:
    from graph import models

    first, second = [(await issue(gateway, await plain(gateway), KEY))[0] for _ in range(2)]
    await gateway.connect_models()
    node = await models.Certificate.nodes.get(number=2)
    assert (await node.follows.single()).digest == first.digest
    assert (await node.certifies.single()).uid == second.statement.run.uid
    assert json.loads(node.canonical_json)["number"] == 2
    await node.save()
