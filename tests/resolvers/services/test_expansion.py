"""Expansions against a real Neo4j: weighed, recorded with their parent, written unless the graph has changed."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from graph.errors import Conflict, GraphError
from graph.queries import coupling, expansions, runs
from nvp.coordinator.candidates import Candidate
from nvp.coordinator.description import normal
from nvp.errors import FieldError
from resolvers.services import expansion
from resolvers.services.context import Services
from resolvers.services.expansion import ExpansionRequest, submit_expansion
from tests.graph.queries.dying import attempt, killed
from tests.resolvers.services.coupling_runs import GRAPH, leased, worked

pytestmark = pytest.mark.db

# at its minimum this one has −a²/4b = −0.25 by itself, and is drawn to nobody
DEEP = Candidate(key="deep", module={"kind": "landau", "params": {"a": -1.0}})
HELPER = Candidate(
    key="helper",
    module={"kind": "landau", "params": {"a": -0.4}},
    couplings=[{"kind": "quadratic", "from": "helper", "to": "b", "params": {"weight": 0.01}}],
)
USELESS = Candidate(key="useless", module={"kind": "landau", "params": {"a": 1.0}})
ALL = (USELESS, DEEP, HELPER)


async def test_candidates_are_weighed_and_survivors_written(services: Services) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    request = ExpansionRequest(graph="g", candidates=ALL, gamma=0.01, tau=0.005, apply=True)
    run = await worked(services, expansion, await submit_expansion(services, request))
    rows = {row.key: row for row in await expansions.candidates_of(services.gateway, run.uid)}
    assert list(rows) == ["useless", "deep", "helper"]
    for row in rows.values():
        assert row.delta == pytest.approx(row.energy_after - row.energy_before)
        assert row.accepted == (row.delta + 0.01 < -0.005)
    assert rows["deep"].delta == pytest.approx(-0.25)
    assert {key: row.survives for key, row in rows.items()} == {"useless": False, "deep": True, "helper": True}
    assert {key: row.parent for key, row in rows.items()} == {"useless": None, "deep": None, "helper": "b"}
    after = await coupling.drawn(services.gateway, "g")
    assert [each["key"] for each in after.description["modules"]] == ["a", "b", "deep", "helper"]
    assert (after.version, len(after.description["couplings"])) == (2, 3)
    (made,) = await services.gateway.read(
        "MATCH (r:ExpansionRun {uid: $run})-[:WEIGHS]->(c {key: 'helper'})-[:BECAME]->(p:OrderParameter) "
        "MATCH (e:ModuleEvent {event: 'CREATED'})-[:HAPPENED_TO]->(p) "
        "RETURN p.key AS key, e.source AS source, r.applied AS applied, r.version AS version, r.survivors AS survivors",
        run=run.uid,
    )
    assert made == {
        "key": "helper",
        "source": run.uid,
        "applied": True,
        "version": 2,
        "survivors": ["deep", "helper"],
    }


async def test_what_is_only_weighed_changes_nothing_and_a_second_attempt_neither(services: Services) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    before = await coupling.drawn(services.gateway, "g")
    request = ExpansionRequest(graph="g", candidates=[DEEP])
    run = await worked(services, expansion, await submit_expansion(services, request))
    assert (await submit_expansion(services, request)).uid == run.uid
    assert [row.survives for row in await expansions.candidates_of(services.gateway, run.uid)] == [True]
    assert await coupling.drawn(services.gateway, "g") == before

    row, task = await leased(services, await submit_expansion(services, ExpansionRequest(**_with(apply=True))))
    await expansion.execute(services, row, task)
    once = await coupling.drawn(services.gateway, "g")
    await expansion.execute(services, row, task)
    assert await coupling.drawn(services.gateway, "g") == once
    assert once.version == 2


async def test_a_graph_that_changed_meanwhile_is_not_expanded(services: Services) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    row, task = await leased(services, await submit_expansion(services, ExpansionRequest(**_with(apply=True))))
    await services.gateway.write("MATCH ()-[c:COUPLED_TO {kind: 'quadratic'}]->() SET c.weight = 0.8")
    now = await coupling.drawn(services.gateway, "g")
    with pytest.raises(Conflict) as caught:
        await expansion.execute(services, row, task)
    assert caught.value.code == "STALE_VERSION"
    assert await expansions.candidates_of(services.gateway, row.uid) == []
    assert await coupling.drawn(services.gateway, "g") == now


COUNT = """
RETURN count {(:ExpansionCandidate)} AS candidates, count {()-[:WEIGHS|PARENT|BECAME|EXPANDS]->()} AS links,
  count {(:ModuleEvent {key: 'deep'})} AS events
"""


async def test_a_record_that_is_ended_midway_leaves_no_half_of_it(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off before each of its statements in turn: no candidate without the rest, and no half of a survivor."""
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    before = await coupling.drawn(services.gateway, "g")
    request = ExpansionRequest(graph="g", candidates=ALL, gamma=0.01, tau=0.005, apply=True)
    row, task = await leased(services, await submit_expansion(services, request))
    given: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    async def weighed(*arguments: Any, **named: Any) -> None:
        given.append((arguments, named))

    with monkeypatch.context() as patched:  # weighed once, and then recorded again and again
        patched.setattr(expansions, "record", weighed)
        await expansion.execute(services, row, task)
    ((arguments, named),) = given

    async def work() -> None:
        await expansions.record(*arguments, **named)

    for statements in itertools.count():
        try:
            await attempt(services.gateway, statements, killed, work)
        except ConnectionAbortedError:
            assert (await services.gateway.read(COUNT))[0] == {"candidates": 0, "links": 0, "events": 0}, statements
            assert await coupling.drawn(services.gateway, "g") == before, statements
        else:
            break
    assert statements >= 12  # the fence, what was, the lock, what is, eight to write the graph, the candidates
    found = (await services.gateway.read(COUNT))[0]
    assert found == {"candidates": 3, "links": 1 + 3 + 1 + 2, "events": 1}
    assert (await coupling.drawn(services.gateway, "g")).version == before.version + 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"candidates": []}, "TOO_LARGE"),
        ({"candidates": [Candidate(key="a", module={"kind": "landau"})]}, "BAD_KEY"),
        ({"candidates": [Candidate(key="z", module={"kind": "lindau"})]}, "UNKNOWN_KIND"),
        ({"keep": 3}, "BAD_CONFIG"),
        ({"candidates": [DEEP, DEEP]}, "BAD_KEY"),
        ({"gamma": -1.0}, "BAD_PARAMETER"),
    ],
)
async def test_what_cannot_be_weighed_is_told(services: Services, change: dict[str, Any], code: str) -> None:
    await coupling.upsert(services.gateway, "g", normal(GRAPH))
    with pytest.raises((GraphError, FieldError)) as caught:
        await submit_expansion(services, ExpansionRequest(**_with(**change)))
    assert caught.value.code == code
    assert await runs.list_runs(services.gateway) == []


def _with(**change: Any) -> dict[str, Any]:
    return {"graph": "g", "candidates": [DEEP], **change}
