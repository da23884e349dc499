"""Relaxations against a real Neo4j: the trail in the graph, the same bits again, and no stale write."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from graph.errors import Conflict, GraphError, NotFound, Outage
from graph.queries import coupling, gates, relaxation, runs
from graph.queries.leases import LeaseLost
from graph.queries.runs import RunRow
from nvp.coordinator.description import graph_of, normal
from nvp.coordinator.reference import reference_energy
from nvp.errors import FieldError
from resolvers.services import relaxation as service
from resolvers.services.context import Services
from resolvers.services.gates import record_benefits
from resolvers.services.relaxation import RelaxationRequest, submit_relaxation
from resolvers.task import Cancelled, Task
from tests.graph.queries.dying import attempt, killed
from tests.resolvers.services import coupling_runs
from tests.resolvers.services.coupling_runs import GRAPH

pytestmark = pytest.mark.db

# steps of a run in order, as an analyst would walk them
WALK = """
MATCH (r:RelaxationRun {uid: $run})-[:FIRST_STEP]->(first:RelaxationStep)
MATCH (first)-[:THEN*0..]->(s) RETURN s.index AS index, s.energy AS energy ORDER BY s.index
"""


async def leased(services: Services, request: RelaxationRequest) -> tuple[RunRow, Task]:
    return await coupling_runs.leased(services, await submit_relaxation(services, request))


async def relaxed(services: Services, request: RelaxationRequest) -> RunRow:
    return await coupling_runs.worked(services, service, await submit_relaxation(services, request))


async def test_what_was_drawn_by_hand_is_relaxed_and_its_trail_is_a_chain(services: Services) -> None:
    await services.gateway.write(
        """CREATE (g:CouplingGraph {name: 'hand'})
        CREATE (g)-[:HAS_MODULE]->(a:OrderParameter {key: 'a', kind: 'gating', a: 0.2, b: 0.3})
        CREATE (g)-[:HAS_MODULE]->(b:OrderParameter {key: 'b', kind: 'gating', a: 0.25, b: 0.35})
        CREATE (:Delta {key: 'domain', value: 0.08})-[:FEEDS]->(b)
        CREATE (a)-[:COUPLED_TO {kind: 'quadratic', weight: 0.7}]->(b)
        CREATE (b)-[:COUPLED_TO {kind: 'gate_benefit', weight: 0.8, delta_key: 'domain'}]->(a)"""
    )
    run = await relaxed(services, RelaxationRequest(graph="hand", settings={"mode": "gradient"}, write_back=True))
    result = await relaxation.result_of(services.gateway, run.uid)
    assert result is not None
    assert result.status == "CONVERGED"
    # the minimum of this graph
    assert result.eta == pytest.approx([0.06039, 0.07784], abs=1e-5)
    assert result.energy == pytest.approx(-0.00250761, abs=1e-8)
    assert (result.keys, result.terms) == (["a", "b"], ["local:gating", "coup:quadratic", "coup:gate_benefit"])
    walked = await services.gateway.read(WALK, run=run.uid)
    steps = await relaxation.steps_of(services.gateway, run.uid, limit=1000)
    assert [step.index for step in steps] == [row["index"] for row in walked] == list(range(len(steps)))
    assert all(after.energy <= before.energy for before, after in itertools.pairwise(steps))
    value, _ = reference_energy(graph_of(normal(GRAPH)), np.array(steps[-1].eta))
    assert steps[-1].energy == pytest.approx(value, abs=1e-14) == sum(steps[-1].term_energy)
    assert [row.index for row in await relaxation.steps_of(services.gateway, run.uid, limit=2, after=1)] == [2, 3]
    drawn = await coupling.drawn(services.gateway, "hand")
    assert list(drawn.eta.values()) == result.eta
    (row,) = await services.gateway.read(
        "MATCH (r:RelaxationRun {uid: $run})-[s:SETTLED_AT]->(p:OrderParameter {key: 'a'}), (r)-[:RELAXES]->(g) "
        "RETURN s.eta AS eta, p.eta AS now, p.eta_source AS source, g.name AS graph",
        run=run.uid,
    )
    assert row == {"eta": result.eta[0], "now": result.eta[0], "source": run.uid, "graph": "hand"}


async def test_a_replay_gives_the_same_bits(services: Services) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    settings = {"mode": "newton", "steps": 20, "noise": 0.01}
    run = await relaxed(services, RelaxationRequest(graph="g", settings=settings, seed=7))
    await coupling.upsert(services.gateway, "g", normal({**GRAPH, "gamma": 1.0}))  # what it was is in the run
    found, account = service.compute(run.config, run.rng_seed)
    result = await relaxation.result_of(services.gateway, run.uid)
    assert result is not None
    assert result.eta == found.eta.tolist()
    steps = await relaxation.steps_of(services.gateway, run.uid, limit=1000)
    assert [step.eta for step in steps] == [list(step.eta) for step in account.steps]
    assert [step.energy for step in steps] == [step.energy for step in account.steps]
    other, _ = service.compute(run.config, run.rng_seed + 1)
    assert other.trail.states.tolist() != found.trail.states.tolist()


async def test_the_same_again_is_the_same_run_until_the_graph_changes(services: Services) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    request = RelaxationRequest(graph="g")
    first = await submit_relaxation(services, request)
    assert (await submit_relaxation(services, request)).uid == first.uid
    await coupling.upsert(services.gateway, "g", normal({**GRAPH, "deltas": {"domain": 0.1}}))
    second = await submit_relaxation(services, request)
    assert second.uid != first.uid
    assert (await submit_relaxation(services, RelaxationRequest(graph="g", start={"a": 0.1}))).uid != second.uid


async def test_a_graph_that_changed_meanwhile_is_not_written_to(services: Services) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    row, task = await leased(services, RelaxationRequest(graph="g", write_back=True))
    # by hand, past the API and its version
    await services.gateway.write("MATCH ()-[c:COUPLED_TO {kind: 'quadratic'}]->() SET c.weight = 0.8")
    with pytest.raises(Conflict) as caught:
        await service.execute(services, row, task)
    assert caught.value.code == "STALE_VERSION"
    assert await relaxation.steps_of(services.gateway, row.uid, limit=10) == []
    assert (await coupling.drawn(services.gateway, "g")).eta == {}
    assert not await services.gateway.read("MATCH (:Run)-[s:RELAXES|SETTLED_AT]->() RETURN type(s) AS type LIMIT 1")


async def test_a_second_attempt_writes_the_same_and_a_lost_lease_writes_nothing(services: Services) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    row, task = await leased(services, RelaxationRequest(graph="g"))
    await service.execute(services, row, task)
    steps = await relaxation.steps_of(services.gateway, row.uid, limit=1000)
    await service.execute(services, row, task)
    assert await relaxation.steps_of(services.gateway, row.uid, limit=1000) == steps
    (count,) = await services.gateway.read(
        "RETURN count {()-[:THEN]->()} AS then, count {()-[:FIRST_STEP]->()} AS first"
    )
    assert count == {"then": len(steps) - 1, "first": 1}
    other, late = await leased(services, RelaxationRequest(graph="g", seed=1))
    await runs.transition(services.gateway, other.uid, "RUNNING", "QUEUED", other.lease_token)
    with pytest.raises(LeaseLost):
        await service.execute(services, other, late)
    assert await relaxation.steps_of(services.gateway, other.uid, limit=10) == []


async def test_a_second_attempt_undoes_nothing_that_came_after_the_first(services: Services) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    row, task = await leased(services, RelaxationRequest(graph="g", write_back=True))
    await service.execute(services, row, task)  # and its worker is lost before it can say so
    await services.gateway.write("MATCH (p:OrderParameter {key: 'a'}) SET p.eta = 0.9, p.eta_source = 'somebody'")
    await coupling.upsert(services.gateway, "g", normal({**GRAPH, "gamma": 0.1}))
    await service.execute(services, row, task)
    assert (await coupling.drawn(services.gateway, "g")).eta["a"] == 0.9
    (moved,) = await services.gateway.read("MATCH (e:ModuleEvent {event: 'MOVED'}) RETURN count(e) AS n")
    assert moved == {"n": 2}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"graph": "lost"}, "NOT_FOUND"),
        ({"settings": {"mod": "newton"}}, "BAD_SETTING"),
        ({"settings": {"mode": "magic"}}, "BAD_CONFIG"),
        ({"settings": {"steps": 0}}, "BAD_CONFIG"),
        ({"settings": {"steps": 2.5}}, "BAD_SETTING"),
        ({"settings": {"line_search": 1}}, "BAD_SETTING"),
        ({"settings": {"steps": 10**9}}, "TOO_LARGE"),
        ({"settings": {"steps": 10**6}}, "TOO_LARGE"),
        ({"settings": {"step_size": 10**400}}, "BAD_SETTING"),
        ({"settings": [1]}, "BAD_INPUT"),
        ({"settings": "newton"}, "BAD_INPUT"),
        ({"start": [0.5, 0.5]}, "BAD_INPUT"),
        ({"start": "ab"}, "BAD_INPUT"),
        ({"seed": 2**63}, "BAD_SEED"),
        ({"settings": {"homotopy_steps": 5, "homotopy_terms": [["coup:none", 0.1]]}}, "UNKNOWN_TERM"),
        ({"start": {"z": 0.5}}, "BAD_KEY"),
        ({"start": {"a": 1.5}}, "BAD_STATE"),
        ({"start": {"a": float("nan")}}, "BAD_STATE"),
    ],
)
async def test_what_cannot_be_relaxed_is_told_before_anything_is_queued(
    services: Services, change: dict[str, Any], code: str
) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    with pytest.raises((GraphError, FieldError, NotFound)) as caught:
        await submit_relaxation(services, RelaxationRequest(**{"graph": "g", **change}))
    assert caught.value.code == code
    assert await runs.list_runs(services.gateway) == []


async def test_a_step_that_nothing_makes_safe_is_refused(services: Services) -> None:
    steep = {"kind": "damped_gate_benefit", "from": "b", "to": "a", "params": {"power": 1.5}, "delta": "domain"}
    await coupling.upsert(services.gateway, "g", normal({**GRAPH, "couplings": [steep]}))
    fixed = {"mode": "gradient", "line_search": False}
    with pytest.raises(FieldError) as caught:
        await submit_relaxation(services, RelaxationRequest(graph="g", settings=fixed))
    assert caught.value.code == "GUARD_VIOLATED"
    assert await runs.list_runs(services.gateway) == []
    await submit_relaxation(services, RelaxationRequest(graph="g", settings={"mode": "gradient"}))


async def test_a_typing_mistake_in_the_drawing_is_told(services: Services) -> None:
    await services.gateway.write(
        "CREATE (:CouplingGraph {name: 'g'})-[:HAS_MODULE]->(:OrderParameter {key: 'a', kind: 'landau', hh: 0.1})"
    )
    with pytest.raises(FieldError, match="expected parameters out of a, b, h, got hh"):
        await submit_relaxation(services, RelaxationRequest(graph="g"))


async def test_gates_are_decided_in_order_and_within_the_budget(services: Services) -> None:
    """A drawn budget: of two open gates only one is affordable, and one behind a shut gate stays shut."""
    gate = {"kind": "gating", "params": {"a": 0.1, "b": 0.1}}
    drawing = {
        "modules": [
            {**gate, "key": "dear", "params": {**gate["params"], "net": 0.5}, "cost": 4.0},
            {**gate, "key": "cheap", "params": {**gate["params"], "net": 0.25}, "cost": 2.0},
            {**gate, "key": "shut", "params": {**gate["params"], "net": -0.5}},
            {**gate, "key": "behind", "params": {**gate["params"], "net": 0.25}, "cost": 0.5},
        ],
        "couplings": [{"kind": "directed_hinge", "from": "shut", "to": "behind", "params": {"weight": 0.01}}],
        "budget": 5.0,
    }
    await coupling.upsert(services.gateway, "g", normal(drawing))
    run = await relaxed(services, RelaxationRequest(graph="g"))
    rows = {row.key: row for row in await gates.decisions(services.gateway, run.uid)}
    assert {key: row.refusal for key, row in rows.items()} == {
        "dear": None,
        "cheap": "budget",
        "shut": "closed",
        "behind": "order",
    }
    result = await relaxation.result_of(services.gateway, run.uid)
    assert result is not None
    assert result.energy is not None
    assert result.snapped_energy is not None
    assert (result.spent, result.budget) == (4.0, 5.0)
    graph = graph_of(normal(drawing))
    snapped, _ = reference_energy(graph, [float(rows[key].opened) for key in result.keys or []])
    assert result.snapped_energy == pytest.approx(snapped)
    assert result.snapped_energy > result.energy
    (parent,) = await services.gateway.read(
        "MATCH (:GateEvent {run: $run, key: 'behind'})-[:PARENT]->(f:GateEvent)-[:OF_GATE]->(p:OrderParameter) "
        "RETURN f.key AS key, p.key AS gate",
        run=run.uid,
    )
    assert parent == {"key": "shut", "gate": "shut"}

    with pytest.raises(NotFound):
        await record_benefits(services, run.uid, {"dear": 0.5, "nobody": 1.0})
    assert all(row.realised is None for row in await gates.decisions(services.gateway, run.uid))
    with pytest.raises(FieldError, match="finite"):
        await record_benefits(services, run.uid, {"dear": float("nan")})
    done = await record_benefits(services, run.uid, {"dear": 0.25})
    assert {row.key: row.realised for row in done if row.realised is not None} == {"dear": 0.25}


async def test_a_running_relaxation_is_cancelled_between_two_dispatches(services: Services) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    settings = {"mode": "gradient", "line_search": False, "step_size": 1e-4, "steps": 100_000}
    row, task = await leased(services, RelaxationRequest(graph="g", settings=settings))
    await runs.request_cancel(services.gateway, row.uid)
    with pytest.raises(Cancelled):
        await service.execute(services, row, task)
    assert await relaxation.steps_of(services.gateway, row.uid, limit=10) == []


async def test_a_client_key_stands_for_one_request(services: Services) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    request = RelaxationRequest(graph="g", write_back=True)
    first = await submit_relaxation(services, request, client_key="mine")
    await coupling.upsert(services.gateway, "g", normal({**GRAPH, "gamma": 1.0}))
    # whatever has become of the graph, and although a run that writes back is never the same as another
    assert (await submit_relaxation(services, request, client_key="mine")).uid == first.uid
    assert (await submit_relaxation(services, request)).uid != first.uid
    with pytest.raises(Conflict) as caught:
        await submit_relaxation(services, RelaxationRequest(graph="g"), client_key="mine")
    assert caught.value.code == "CLIENT_KEY_USED"


COUNT = """
RETURN count {(:RelaxationStep)} AS steps, count {(:GateEvent)} AS gates, count {()-[:SETTLED_AT]->()} AS at,
  count {(:ModuleEvent {event: 'MOVED'})} AS moved
"""
NOTHING = {"steps": 0, "gates": 0, "at": 0, "moved": 0}


async def test_a_transaction_that_is_ended_midway_leaves_nothing(services: Services) -> None:
    """Cut off before each of its statements in turn, by its client and at last by the server."""
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    row, task = await leased(services, RelaxationRequest(graph="g", write_back=True))

    async def terminated() -> None:
        rows = await services.gateway.read(
            "SHOW TRANSACTIONS YIELD transactionId, currentQuery WHERE NOT currentQuery STARTS WITH 'SHOW' "
            "RETURN transactionId AS id"
        )
        await services.gateway.execute_schema(f"TERMINATE TRANSACTIONS {[row['id'] for row in rows]!r}")

    async def work() -> None:
        await service.execute(services, row, task)

    for statements, (end, error) in enumerate([(killed, ConnectionAbortedError)] * 12 + [(terminated, Outage)]):
        with pytest.raises(error):
            await attempt(services.gateway, min(statements, 11), end, work)
        assert (await services.gateway.read(COUNT))[0] == NOTHING, statements
        assert (await coupling.drawn(services.gateway, "g")).eta == {}
    await attempt(services.gateway, 12, killed, work)  # it has no more than twelve
    found = (await services.gateway.read(COUNT))[0]
    assert found["steps"] > 2
    assert (found["gates"], found["at"], found["moved"]) == (2, 2, 2)
