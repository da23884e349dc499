"""Experiments: stages in order and no other way, votes by member and round."""

from __future__ import annotations

import asyncio

import pytest

from graph.errors import GraphError
from graph.gateway import Gateway
from graph.queries import ace, runs
from graph.queries.ace import STAGES, NewVote, following
from graph.queries.leases import LeaseLost
from tests.graph.queries.experiments import Spent, experiment, itinerary, walk

pytestmark = pytest.mark.db


async def test_an_experiment_goes_through_all_stages(gateway: Gateway) -> None:
    run = await experiment(gateway)
    await walk(gateway, run.lease)
    found = await ace.stages(gateway, run.uid)
    assert [(stage.name, stage.round, stage.position) for stage in found] == [
        (name, 1, place) for place, name in enumerate(STAGES, 1)
    ]
    assert all(stage.done and stage.finished_at is not None for stage in found)
    assert [(stage.inputs, stage.outputs["by"]) for stage in found] == [({"of": name}, name) for name in STAGES]
    assert {(stage.energy_joules, stage.energy_source, stage.seconds) for stage in found} == {
        (2.5, "estimated: 10 W × CPU seconds", 0.25)
    }
    assert following(found[-1]) == ()
    linked = await gateway.read(
        "MATCH (r:Run {uid: $run})-[:STAGE]->(s) OPTIONAL MATCH (s)-[:THEN]->(t) "
        "RETURN s.name AS name, t.name AS then ORDER BY s.position",
        run=run.uid,
    )
    assert [(row["name"], row["then"]) for row in linked] == list(zip(STAGES, [*STAGES[1:], None], strict=True))


async def test_a_loop_begins_the_next_round_at_compose(gateway: Gateway) -> None:
    run = await experiment(gateway)
    await walk(gateway, run.lease, rounds=3)
    assert [(stage.name, stage.round) for stage in await ace.stages(gateway, run.uid)] == itinerary(3)


async def test_watchers_of_the_run_see_each_stage_begin_and_end(gateway: Gateway) -> None:
    run = await experiment(gateway)
    await walk(gateway, run.lease, until="compose")
    assert (await runs.run(gateway, run.uid)).seq == run.seq + 4


async def test_stages_follow_the_table_and_no_other_way(gateway: Gateway) -> None:
    run = await experiment(gateway)
    for done in (None, *STAGES):
        if done is not None:
            begun = await ace.begin_stage(gateway, run.lease, name=done, round=1, inputs={})
            await ace.end_stage(gateway, run.lease, begun, outputs={}, spent=None)
        before = await ace.stages(gateway, run.uid)
        # from the table in words, not from what the code makes of it
        legal = {(STAGES[len(before)], 1)} if len(before) < len(STAGES) else {("retire", 1)}
        legal |= {("compose", 2)} if done == "verify" else set()
        for name in STAGES:
            for round in (0, 1, 2):
                if (name, round) not in legal:
                    with pytest.raises(GraphError, match=f"got {name} of round {round}") as caught:
                        await ace.begin_stage(gateway, run.lease, name=name, round=round, inputs={})
                    assert caught.value.code == "ILLEGAL_STAGE"
        assert await ace.stages(gateway, run.uid) == before
        assert set(following(before[-1] if before else None)) == (legal if done != "retire" else set())


async def test_what_is_no_stage_is_refused(gateway: Gateway) -> None:
    run = await experiment(gateway)
    for name, round in (("guess", 1), ("spawn", 0), ("", 1)):
        with pytest.raises(GraphError, match="expected spawn of round 1 at first"):
            await ace.begin_stage(gateway, run.lease, name=name, round=round, inputs={})
    assert await ace.stages(gateway, run.uid) == []


async def test_an_unfinished_stage_is_resumed_as_it_was_begun(gateway: Gateway) -> None:
    run = await experiment(gateway)
    await walk(gateway, run.lease, until="spawn")
    begun = await ace.begin_stage(gateway, run.lease, name="compose", round=1, inputs={"claim": "a"})
    assert (begun.state, begun.attempt, begun.outputs, begun.energy_joules) == ("RUNNING", 1, {}, None)
    with pytest.raises(GraphError, match=r"expected compose of round 1 behind compose of round 1 \(RUNNING\)"):
        await ace.begin_stage(gateway, run.lease, name="plan", round=1, inputs={})

    await gateway.write("MATCH (r:Run {uid: $uid}) SET r.lease_until = datetime() - duration('PT1S')", uid=run.uid)
    await runs.reap(gateway, max_attempts=3)
    await gateway.write("MATCH (r:Run {uid: $uid}) SET r.not_before = r.created_at", uid=run.uid)
    (taken,) = await runs.claim(gateway, capability="orchestration", worker="next", lease_seconds=60)
    for stale in (
        ace.begin_stage(gateway, run.lease, name="compose", round=1, inputs={}),
        ace.end_stage(gateway, run.lease, begun, outputs={"late": True}, spent=None),
        ace.record_votes(gateway, run.lease, [NewVote(member=0, sha256="aa", agrees=True)]),
    ):
        with pytest.raises(LeaseLost):
            await stale
    again = await ace.begin_stage(gateway, taken.lease, name="compose", round=1, inputs={"claim": "b"})
    assert (again.uid, again.inputs, again.started_at) == (begun.uid, {"claim": "a"}, begun.started_at)
    assert again.attempt == 2
    assert await gateway.read("MATCH (v:Vote) RETURN v") == []


async def test_a_stage_ends_once(gateway: Gateway) -> None:
    run = await experiment(gateway)
    begun = await ace.begin_stage(gateway, run.lease, name="spawn", round=1, inputs={})
    ended = await ace.end_stage(gateway, run.lease, begun, outputs={"n": 3, "nan": float("nan")}, spent=Spent())
    assert ended.outputs == {"n": 3, "nan": None}
    # the same again, as after an answer that was lost on its way
    assert await ace.end_stage(gateway, run.lease, begun, outputs={"n": 3, "nan": None}, spent=Spent(7.0)) == ended
    with pytest.raises(GraphError, match=r"expected compose of round 1 .* got the end of spawn of round 1"):
        await ace.end_stage(gateway, run.lease, begun, outputs={"n": 4}, spent=Spent())
    other = await experiment(gateway)
    with pytest.raises(GraphError, match="expected spawn of round 1 at first"):
        await ace.end_stage(gateway, other.lease, begun, outputs={"n": 3, "nan": None}, spent=None)
    assert await ace.stages(gateway, run.uid) == [ended]


async def test_retiring_twice_is_once(gateway: Gateway) -> None:
    run = await experiment(gateway)
    await walk(gateway, run.lease)
    before = await ace.stages(gateway, run.uid)
    again = await ace.begin_stage(gateway, run.lease, name="retire", round=1, inputs={"again": True})
    assert await ace.end_stage(gateway, run.lease, again, outputs={"again": True}, spent=Spent(9.0)) == again
    assert await ace.stages(gateway, run.uid) == before


async def test_two_that_end_a_stage_differently_are_one_winner(gateway: Gateway) -> None:
    run = await experiment(gateway)
    begun = await ace.begin_stage(gateway, run.lease, name="spawn", round=1, inputs={})
    ends = (ace.end_stage(gateway, run.lease, begun, outputs={"by": n}, spent=Spent(float(n))) for n in range(6))
    outcomes = await asyncio.gather(*ends, return_exceptions=True)
    won = [one for one in outcomes if not isinstance(one, BaseException)]
    assert [one.code for one in outcomes if isinstance(one, GraphError)] == ["ILLEGAL_STAGE"] * 5
    assert await ace.stages(gateway, run.uid) == won
    assert won[0].energy_joules == won[0].outputs["by"]


async def test_two_that_go_different_ways_are_one_winner(gateway: Gateway) -> None:
    run = await experiment(gateway)
    await walk(gateway, run.lease, until="verify")
    outcomes = await asyncio.gather(
        *(
            ace.begin_stage(gateway, run.lease, name=name, round=round, inputs={})
            for name, round in (("compose", 2), ("report", 1)) * 3
        ),
        return_exceptions=True,
    )
    won = {one.uid for one in outcomes if not isinstance(one, BaseException)}
    assert len(won) == 1  # all who went that way found the same stage
    assert [one.uid for one in await ace.stages(gateway, run.uid)][6:] == list(won)


async def test_votes_are_by_member_and_round(gateway: Gateway) -> None:
    run = await experiment(gateway)
    said = [NewVote(member=n, sha256=f"{n:02}", agrees=n < 2, starts=9, agreed=9 - 4 * n) for n in range(3)]
    await ace.record_votes(gateway, run.lease, said)
    await ace.record_votes(gateway, run.lease, [NewVote(member=2, sha256="02", agrees=True, starts=9, agreed=8)])
    await ace.record_votes(gateway, run.lease, [NewVote(member=0, sha256="00", agrees=False, round=2)])
    rows = await gateway.read(
        "MATCH (:Run {uid: $run})-[:VOTE]->(v) RETURN v.round AS round, v.member AS member, v.agrees AS agrees, "
        "v.agreed AS agreed ORDER BY round, member",
        run=run.uid,
    )
    assert [tuple(row.values()) for row in rows] == [
        (1, 0, True, 9),
        (1, 1, True, 5),
        (1, 2, True, 8),
        (2, 0, False, None),
    ]
