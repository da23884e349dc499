"""A certificate of an experiment covers what it tested, how, and who agreed; later experiments do not change it."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from graph.gateway import Gateway
from graph.queries import ace, hypotheses, runs
from graph.queries.ace import NewVote
from graph.queries.certificates import Head
from graph.queries.runs import RunRow
from resolvers.certificates.issuing import audit, drafted, issue
from resolvers.certificates.statement import Refused
from tests.graph.queries import builders, experiments

pytestmark = pytest.mark.db

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SPENT: dict[str, Any] = {"energy_joules": 12.0, "energy_source": "estimated: 10 W × CPU seconds", "device": "cpu"}


async def finished(gateway: Gateway, *, agree: tuple[bool, ...] = (True, True, False)) -> tuple[RunRow, str, str]:
    """An experiment of two rounds that succeeded: (run, hypothesis, evaluation); no members agreed in the first."""
    _, _, checkpoint = await builders.trained(gateway)
    evidence = await experiments.evaluated(gateway, checkpoint)
    row = await experiments.proposed(gateway)
    run = await experiments.experiment(gateway)
    await experiments.walk(gateway, run.lease, rounds=2)
    for round, said in ((1, (False, False, False)), (2, agree)):
        votes = [NewVote(member=n, sha256=f"{n}a", agrees=one, round=round) for n, one in enumerate(said)]
        await ace.record_votes(gateway, run.lease, votes)
    await hypotheses.settle(
        gateway, run.lease, hypothesis=row.uid, verdict="supported", credence=0.9, weight=0.95, evidence=[evidence]
    )
    await runs.transition(gateway, run.uid, "RUNNING", "SUCCEEDED", run.lease_token, **SPENT)
    return run, row.uid, evidence


async def codes(gateway: Gateway) -> set[str]:
    """What is found wrong."""
    return {each.code async for _, found in audit(gateway) for each in found}


async def test_a_quorum_of_the_last_round_is_certified(gateway: Gateway) -> None:
    run, hypothesis, evidence = await finished(gateway)
    said = (await issue(gateway, run.uid, KEY))[0].statement
    assert [(each.uid, each.verdict, each.credence) for each in said.hypotheses] == [(hypothesis, "supported", 0.9)]
    assert [each.name for each in said.stages] == [name for name, _ in experiments.itinerary(2)]
    assert [each.agrees for each in said.votes] == [True, True, False]
    assert [(cited.label, cited.uid, cited.role) for cited in said.inputs] == [("Evaluation", evidence, "evidence")]
    assert await codes(gateway) == set()

    # another experiment finds otherwise: what this one found still stands
    other = await experiments.experiment(gateway)
    await hypotheses.settle(
        gateway, other.lease, hypothesis=hypothesis, verdict="refuted", credence=0.1, weight=-1.0, evidence=[evidence]
    )
    assert (await hypotheses.hypothesis(gateway, hypothesis)).verdict == "refuted"
    assert await codes(gateway) == set()


async def test_without_a_quorum_in_the_last_round_there_is_none(gateway: Gateway) -> None:
    run, _, _ = await finished(gateway, agree=(True, False, False))
    with pytest.raises(Refused, match="2 different members of 3 to agree, got 1"):
        await issue(gateway, run.uid, KEY)


@pytest.mark.parametrize(("kind", "whose"), [("ace", "its runs'"), ("evaluation", "its")])
def test_an_unknown_attempt_makes_no_whole_account(kind: str, whose: str) -> None:
    lost = 0 if kind == "ace" else 2
    stage = {"energy_joules": 2.5, "energy_source": "measured: RAPL"}
    run: Any = SimpleNamespace(
        uid="r", kind=kind, state="SUCCEEDED", unmetered=lost, energy_joules=1.0, energy_source="m"
    )
    known: Any = SimpleNamespace(run=run, cut=(), stages=(stage,), unmetered_parts=2 - lost)
    with pytest.raises(Refused, match=f"none of the energy of 2 of {whose} attempts"):
        drafted(known, Head(0, "", datetime.now(UTC)), "")


async def test_an_unknown_attempt_of_a_run_that_was_made_for_it_leaves_it_without(gateway: Gateway) -> None:
    run, _, _ = await finished(gateway)
    lost = "MATCH (c:Run)-[part:PART_OF]->(:Run {uid: $run}) SET c.unmetered = 1, part.made = $made"
    other = await builders.submit(gateway)
    joined = "MATCH (c:Run {uid: $uid}) MATCH (r:Run {uid: $run}) CREATE (c)-[:PART_OF]->(r)"
    await gateway.write(joined, uid=other.uid, run=run.uid)
    await gateway.write(lost, run=run.uid, made=True)
    with pytest.raises(Refused, match="none of the energy of 1 of its runs' attempts"):
        await issue(gateway, run.uid, KEY)
    # one that it only found is paid for by another
    await gateway.write(lost, run=run.uid, made=False)
    assert (await issue(gateway, run.uid, KEY))[1]


CHANGES: dict[str, tuple[str, str, Any]] = {
    "what came out of a stage": ("(x:Stage {name: 'verify', round: 1})", "outputs_json", "{}"),
    "what went into a stage": ("(x:Stage {name: 'plan', round: 2})", "inputs_json", "{}"),
    "what a stage took": ("(x:Stage {name: 'execute', round: 2})", "energy_joules", 0.5),
    "a vote of an earlier round": ("(x:Vote {round: 1, member: 0})", "agrees", True),
    "a verdict": ("(:Hypothesis)-[x:TESTED_BY]->()", "verdict", "refuted"),
    "a claim": ("(x:Hypothesis)", "claim_json", "{}"),
    "the evidence": ("(x:Evaluation)", "scores_json", "{}"),
}


async def test_what_is_changed_afterwards_is_found(gateway: Gateway) -> None:
    run, _, _ = await finished(gateway)
    await issue(gateway, run.uid, KEY)
    for what, (where, name, value) in CHANGES.items():
        swap = f"MATCH {where} WITH x, x.{name} AS was SET x.{name} = $value RETURN was"
        (row,) = await gateway.write(swap, value=value)
        assert row["was"] != value
        assert (what, await codes(gateway)) == (what, {"CHANGED_SINCE"})
        await gateway.write(swap, value=row["was"])
    assert await codes(gateway) == set()
