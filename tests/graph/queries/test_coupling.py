"""Coupling graphs in Neo4j: drawn by hand or written, they read as one description."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from graph.errors import Conflict, GraphError, NotFound
from graph.gateway import Gateway
from graph.queries import coupling
from graph.queries.drawing import Drawn
from graph.queries.listings import LISTS, page
from tests.graph.queries.dying import attempt, killed

pytestmark = pytest.mark.db

SHAPE = {"basis": [[1.0, 0.0], [0.5, 1.0]], "coefficients": [1.0, 2.0]}
DESCRIPTION: dict[str, Any] = {
    "modules": [
        {"key": "gate", "kind": "gating", "params": {"a": 0.2, "net": 0.1}, "term": "", "cost": 3.0},
        {"key": "shape", "kind": "polynomial", "params": SHAPE, "term": "form", "cost": 0.0},
        {"key": "well", "kind": "landau", "params": {}, "term": "", "cost": 0.0},
    ],
    "couplings": [
        {"kind": "gate_benefit", "from": "gate", "to": "well", "params": {}, "delta": "gain", "term": ""},
        {"kind": "quadratic", "from": "shape", "to": "well", "params": {"weight": 0.25}, "delta": "", "term": "bond"},
    ],
    "weights": {"bond": 2.0},
    "deltas": {"gain": 0.25},
    "gamma": 0.5,
    "tau": 0.0,
    "budget": 5.0,
    "allow_missing_delta": False,
}  # fmt: skip

BY_HAND = """
CREATE (g:CouplingGraph {name: 'hand', gamma: 0.5, budget: 5, weights_json: '{"bond": 2}'})
CREATE (g)-[:HAS_MODULE]->(gate:OrderParameter {key: 'gate', kind: 'gating', a: 0.2, net: 0.1, eta: 0.9, cost: 3})
CREATE (g)-[:HAS_MODULE]->(well:OrderParameter {key: 'well', kind: 'landau', title: 'a well'})
CREATE (g)-[:HAS_MODULE]->(shape:OrderParameter {key: 'shape', kind: 'polynomial', term: 'form',
  coefficients: [1.0, 2.0], basis_json: '[[1, 0], [0.5, 1]]'})
CREATE (:Delta {key: 'gain', value: 0.25, source: 'a measurement'})-[:FEEDS]->(gate)
CREATE (gate)-[:COUPLED_TO {kind: 'gate_benefit', delta_key: 'gain'}]->(well)
CREATE (shape)-[:COUPLED_TO {kind: 'quadratic', weight: 0.25, term: 'bond'}]->(well)
"""
COUNT = """
MATCH (g:CouplingGraph {name: $name})
RETURN count {(g)-[:HAS_MODULE]->()} AS modules, count {(g)-[:HAS_MODULE]->()-[:COUPLED_TO]->()} AS couplings,
  count {(g)-[:HAS_DELTA]->()} AS deltas, count {(:OrderParameter)} AS all
"""


async def test_drawn_by_hand_or_written_is_the_same(gateway: Gateway) -> None:
    await gateway.write(BY_HAND)
    hand = await coupling.drawn(gateway, "hand")
    written = await coupling.upsert(gateway, "written", DESCRIPTION)
    assert hand.description == written.description == DESCRIPTION
    assert (hand.eta, written.eta) == ({"gate": 0.9}, {})
    assert (hand.version, written.version) == (0, 1)
    assert await coupling.names(gateway, limit=10) == ["hand", "written"]
    uid = await coupling.adopt(gateway, "hand")
    assert (await coupling.drawn(gateway, "hand")).uid == uid != written.uid


async def test_a_benefit_drawn_by_hand_stays_the_one_of_its_key(gateway: Gateway) -> None:
    await gateway.write(BY_HAND)
    more = await coupling.upsert(gateway, "hand", {**DESCRIPTION, "deltas": {"gain": 0.5}})
    assert more.description["deltas"] == {"gain": 0.5}
    deltas: Any = (
        "MATCH (d:Delta) RETURN d.key AS key, d.value AS value, d.source AS source, count {(d)-[:FEEDS]->()} AS fed"
    )
    assert await gateway.read(deltas) == [{"key": "gain", "value": 0.5, "source": "a measurement", "fed": 1}]
    gone = {**DESCRIPTION, "couplings": DESCRIPTION["couplings"][1:], "deltas": {}}
    assert (await coupling.upsert(gateway, "hand", gone)).description == gone
    assert [row["fed"] for row in await gateway.read(deltas)] == [0]


async def test_writing_it_again_changes_nothing(gateway: Gateway) -> None:
    first = await coupling.upsert(gateway, "g", DESCRIPTION)
    assert await coupling.upsert(gateway, "g", DESCRIPTION, expected_version=1) == first
    count = (await gateway.read(COUNT, name="g"))[0]
    assert count == {"modules": 3, "couplings": 2, "deltas": 1, "all": 3}


async def test_what_stays_keeps_its_state_and_what_it_measures(gateway: Gateway) -> None:
    await coupling.upsert(gateway, "g", DESCRIPTION)
    await gateway.write("MATCH (p:OrderParameter {key: 'well'}) SET p.eta = 0.7 CREATE (p)-[:MEASURES]->(:Thing)")
    smaller = {
        **DESCRIPTION,
        "modules": [DESCRIPTION["modules"][0], {**DESCRIPTION["modules"][2], "params": {"a": -1.0}}],
        "couplings": DESCRIPTION["couplings"][:1],
        "weights": {},
    }
    after = await coupling.upsert(gateway, "g", smaller, expected_version=1)
    assert (after.version, after.eta, after.description) == (2, {"well": 0.7}, smaller)
    assert (await gateway.read(COUNT, name="g"))[0] == {"modules": 2, "couplings": 1, "deltas": 1, "all": 2}
    assert await gateway.read("MATCH (p:OrderParameter {key: 'well', a: -1.0})-[:MEASURES]->(t) RETURN p.key AS key")
    # a parameter that is default again is gone
    again = await coupling.upsert(gateway, "g", DESCRIPTION)
    assert again.description == DESCRIPTION


async def test_what_another_graph_holds_too_is_not_written_over(gateway: Gateway) -> None:
    await gateway.write(BY_HAND)
    await gateway.write(
        "MATCH (well:OrderParameter {key: 'well'}) CREATE (:CouplingGraph {name: 'other'})-[:HAS_MODULE]->(well)"
    )
    with pytest.raises(Conflict, match="got 'well', which 'other' has too"):
        await coupling.upsert(gateway, "hand", {**DESCRIPTION, "modules": DESCRIPTION["modules"][:2], "couplings": []})
    assert (await coupling.drawn(gateway, "other")).description["modules"][0]["key"] == "well"
    assert (await coupling.drawn(gateway, "hand")).description == DESCRIPTION


async def test_of_two_writers_who_read_the_same_one_is_refused(gateway: Gateway) -> None:
    await coupling.upsert(gateway, "g", DESCRIPTION)
    others = [{**DESCRIPTION, "gamma": gamma} for gamma in (1.0, 2.0)]
    made = await asyncio.gather(
        *(coupling.upsert(gateway, "g", other, expected_version=1) for other in others), return_exceptions=True
    )
    (refused,) = [one for one in made if isinstance(one, BaseException)]
    (kept,) = [one for one in made if isinstance(one, Drawn)]
    assert isinstance(refused, Conflict)
    assert refused.code == "STALE_VERSION"
    assert await coupling.drawn(gateway, "g") == kept


async def test_a_writer_that_is_cut_off_leaves_the_graph_as_it_was(gateway: Gateway) -> None:
    await coupling.upsert(gateway, "g", DESCRIPTION)
    before, told = await coupling.drawn(gateway, "g"), await events(gateway, "g")
    changed = {**DESCRIPTION, "modules": DESCRIPTION["modules"][:1], "couplings": [], "weights": {}, "gamma": 1.0}
    for statements in range(12):  # lock, look, shared, clear, whole, modules (2), couplings, benefits, events (2), look
        with pytest.raises(ConnectionAbortedError):
            await attempt(gateway, statements, killed, lambda: coupling.upsert(gateway, "g", changed))
        assert await coupling.drawn(gateway, "g") == before
        assert await events(gateway, "g") == told
    await attempt(gateway, 12, killed, lambda: coupling.upsert(gateway, "g", changed))
    assert (await coupling.drawn(gateway, "g")).version == 2


@pytest.mark.parametrize("name", ["", " ", "n" * 40_000, "two\nlines", "nu\0l", "\ud800", "\u202e"])
async def test_a_name_that_cannot_be_shown_or_indexed_is_refused(gateway: Gateway, name: str) -> None:
    with pytest.raises(GraphError) as caught:
        await coupling.upsert(gateway, name, DESCRIPTION)
    assert caught.value.code == "BAD_NAME"
    assert len(str(caught.value).encode()) < 400
    assert (await coupling.upsert(gateway, "ein 'Name' → ü", DESCRIPTION)).version == 1


async def test_a_refused_writer_leaves_nothing(gateway: Gateway) -> None:
    with pytest.raises(Conflict):
        await coupling.upsert(gateway, "new", DESCRIPTION, expected_version=3)
    with pytest.raises(NotFound):
        await coupling.drawn(gateway, "new")


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("MATCH (g:CouplingGraph) SET g.weights_json = '[1]'", "BAD_GRAPH"),
        ("MATCH (p {key: 'shape'}) SET p.basis_json = '[[1,'", "BAD_GRAPH"),
        ("MATCH (g:CouplingGraph) CREATE (g)-[:HAS_DELTA]->(:Delta {key: 'gain', value: 0.5})", "TWO_DELTAS"),
        # Neo4j lets anyone draw anything
        ("MATCH (p:OrderParameter) SET p.eta = 'high'", "BAD_GRAPH"),
        ("MATCH (p {key: 'shape'}) SET p.drawn_at = datetime()", "BAD_GRAPH"),
        ("MATCH (p {key: 'shape'}) SET p.at = point({x: 1, y: 2})", "BAD_GRAPH"),
        ("MATCH (p {key: 'shape'}) SET p.key = 5", "BAD_GRAPH"),
        ("MATCH (p {key: 'shape'}) REMOVE p.kind", "BAD_GRAPH"),
        ("MATCH (p {key: 'shape'}) SET p.term = 5", "BAD_GRAPH"),
        ("MATCH ()-[c:COUPLED_TO]->() SET c.delta_key = 5", "BAD_GRAPH"),
        ("MATCH (g:CouplingGraph) SET g.gamma = 'dear'", "BAD_GRAPH"),
        ("MATCH (g:CouplingGraph) SET g.version = 'two'", "BAD_GRAPH"),
        ("MATCH (g:CouplingGraph) SET g.gama = 0.5", "BAD_GRAPH"),
        ("MATCH (g:CouplingGraph) SET g.allow_missing_delta = 'false'", "BAD_GRAPH"),
        ("MATCH (g:CouplingGraph) CREATE (g)-[:HAS_DELTA]->(:Delta {value: 0.5})", "BAD_GRAPH"),
        ("MATCH (d:Delta) SET d.value = 'much'", "BAD_GRAPH"),
        ("MATCH (p {key: 'shape'}) CREATE (p)-[:MEASURES]->()-[:SUPPORTED_BY {weight: 'strong'}]->()", "BAD_GRAPH"),
        (
            "MATCH (p {key: 'shape'}) CREATE (p)-[:COUPLED_TO {kind: 'quadratic'}]->(:OrderParameter {key: 'shape'})",
            "BAD_INDEX",
        ),
    ],
)
async def test_what_cannot_be_read_is_told(gateway: Gateway, statement: Any, code: str) -> None:
    await gateway.write(BY_HAND)
    await gateway.write(statement)
    with pytest.raises(GraphError) as caught:
        await coupling.drawn(gateway, "hand")
    assert caught.value.code == code
    assert caught.value.next_step
    assert "\n" not in str(caught.value)


async def events(gateway: Gateway, name: str) -> list[tuple[str, str, int | None]]:
    rows = await page(gateway, [LISTS["module_events"]], limit=100, after=None, where={"graph": name})
    return [(row.node["event"], row.node["key"], row.node["version"]) for row in reversed(rows)]


async def test_what_changes_is_told_by_events_and_versions(gateway: Gateway) -> None:
    await coupling.upsert(gateway, "g", DESCRIPTION)
    assert sorted(await events(gateway, "g")) == [("CREATED", key, 1) for key in ("gate", "shape", "well")]
    changed = [DESCRIPTION["modules"][0], {**DESCRIPTION["modules"][2], "params": {"a": -1.0}}]
    smaller = {**DESCRIPTION, "modules": changed, "couplings": DESCRIPTION["couplings"][:1], "weights": {}}
    await coupling.upsert(gateway, "g", smaller)
    await coupling.upsert(gateway, "g", smaller)  # changes nothing
    assert sorted((await events(gateway, "g"))[3:]) == [("CHANGED", "well", 2), ("REMOVED", "shape", None)]
    rows = await gateway.read(
        "MATCH (e:ModuleEvent {event: 'CHANGED'})-[:HAPPENED_TO]->(p) RETURN p.key AS key, p.version AS version, "
        "e.payload_json AS payload, e.source AS source"
    )
    assert [(row["key"], row["version"], row["source"]) for row in rows] == [("well", 2, "api")]
    assert '"now": {"cost": 0.0, "key": "well", "kind": "landau", "params": {"a": -1.0}' in rows[0]["payload"]


async def test_evidence_is_counted_and_changes_the_digest(gateway: Gateway) -> None:
    await gateway.write(BY_HAND)
    before = await coupling.drawn(gateway, "hand")
    assert before.evidence == {}
    await gateway.write(
        """MATCH (p:OrderParameter {key: 'well'})
        CREATE (p)-[:MEASURES]->(h:Hypothesis {text: 'it is deep'})
        CREATE (h)-[:SUPPORTED_BY {weight: 0.5}]->(:Observation), (h)-[:SUPPORTED_BY]->(:Observation)
        CREATE (h)-[:REFUTED_BY {weight: 2.0}]->(:Observation)"""
    )
    after = await coupling.drawn(gateway, "hand")
    assert after.evidence == {"well": (1.5, 2.0)}
    assert after.description == before.description
    assert after.digest != before.digest


class Profiled:
    """A transaction that adds up the work of its statements, in accesses to the store."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self.work = 0

    async def run(self, query: str, **parameters: Any) -> Any:
        result = await self._tx.run("PROFILE " + query, **parameters)
        records = [record async for record in result]
        self.work += _accesses((await result.consume()).profile)
        return Rows(records)


class Rows:
    """What a statement returned."""

    def __init__(self, records: list[Any]) -> None:
        self._records = records

    async def consume(self) -> None:
        return None

    async def single(self, *, strict: bool = False) -> Any:
        return self._records[0] if self._records else None

    async def __aiter__(self) -> Any:
        for record in self._records:
            yield record


def _accesses(profile: dict[str, Any]) -> int:
    return int(profile["dbHits"]) + sum(_accesses(child) for child in profile.get("children", ()))


async def test_writing_four_times_as_much_is_four_times_the_work(gateway: Gateway) -> None:
    # and not sixteen times: thousands of modules would take minutes
    work = {}
    for count in (100, 400):
        keys = [f"{count} {number}" for number in range(count)]
        ends = itertools.pairwise(keys)
        params = {"params": {}, "term": ""}
        described = {
            **DESCRIPTION,
            "modules": [{"key": key, "kind": "gating", "cost": 0.0, **params} for key in keys],
            "couplings": [{"kind": "gate_benefit", "from": a, "to": b, "delta": "gain", **params} for a, b in ends],
            "weights": {},
        }
        done: list[Profiled] = []
        transact = gateway.transact

        async def profiled(inner: Any, done: list[Profiled] = done, transact: Any = transact) -> Any:
            return await transact(lambda tx: inner(done.append(Profiled(tx)) or done[-1]))

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(gateway, "transact", profiled)
            await coupling.upsert(gateway, str(count), described)
            await coupling.upsert(gateway, str(count), {**described, "gamma": 1.0})
        work[count] = sum(each.work for each in done)
    assert work[400] < 6 * work[100]
