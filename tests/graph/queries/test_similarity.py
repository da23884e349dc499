"""Similar snapshots: the nearest by descriptor, narrowed within the index, without the one that was asked about."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest

from graph.errors import GraphError, NotFound
from graph.gateway import Gateway
from graph.queries import sequences
from graph.queries.similarity import SEARCHES, similar
from tests.conftest import EMPTY
from tests.graph.queries import builders
from tests.graph.queries.plans import explain, fill

pytestmark = pytest.mark.db

STEPS = 12
SOURCES = ("one", "two", "three")


def descriptor(step: int, tilt: float) -> tuple[float, ...]:
    """Unit vectors along an arc; another source is tilted out of its plane."""
    angle = 0.1 * step
    flat = (math.cos(angle) * math.cos(tilt), math.sin(angle) * math.cos(tilt), math.sin(tilt))
    return (*flat, *(0.0 for _ in range(61)))


def cosine(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


async def _write(gateway: Gateway, domain: str, source: str, tilt: float, label: Any) -> str:
    await sequences.upsert_domain(gateway, builders.DOMAIN | {"name": domain})
    sequence = sequences.NewSequence(
        domain=domain, source=source, recipe={}, height=8, width=16, dt=0.5, generator="test"
    )
    frames = [builders.frame(step, variant=source + domain, descriptor=descriptor(step, tilt)) for step in range(STEPS)]
    segment = builders.new_segment(0, STEPS, variant=source + domain)
    await sequences.append_segment(gateway, sequence, segment, frames, label)
    return sequence.uid


@dataclass(frozen=True, slots=True)
class World:
    gateway: Gateway
    uids: dict[str, str]


@pytest.fixture(scope="module")
async def world(_migrated: Gateway) -> World:
    """Three sequences of plasma (the last observed) and one of fluid, by name."""
    await _migrated.execute_schema(EMPTY)
    uids = {
        "one": await _write(_migrated, "plasma", "one", 0.0, "Simulated"),
        "two": await _write(_migrated, "plasma", "two", 0.2, "Simulated"),
        "three": await _write(_migrated, "plasma", "three", 0.4, "Observed"),
        "fluid": await _write(_migrated, "fluid", "four", 0.1, "Simulated"),
    }
    await _migrated.execute_schema("CALL db.awaitIndexes()")
    return World(_migrated, uids)


async def uid_of(gateway: Gateway, sequence: str, t_index: int) -> str:
    rows = await gateway.read(
        "MATCH (e:EnergySnapshot) WHERE e.sequence = $s AND e.t_index = $t RETURN e.uid AS uid", s=sequence, t=t_index
    )
    return str(rows[0]["uid"])


TILTS = {"one": 0.0, "two": 0.2, "three": 0.4, "fluid": 0.1}


@pytest.mark.parametrize(
    ("where", "among"),
    [
        ({}, ("one", "two", "three", "fluid")),
        ({"domain": "plasma"}, ("one", "two", "three")),
        ({"domain": "fluid"}, ("fluid",)),
        ({"kind": "Observed"}, ("three",)),
        ({"kind": "Simulated", "domain": "plasma"}, ("one", "two")),
        ({"other_sequences": True}, ("two", "three", "fluid")),
        ({"other_sequences": True, "domain": "plasma", "kind": "Simulated"}, ("two",)),
        ({"kind": "Predicted"}, ()),
        ({"domain": "nowhere"}, ()),
    ],
)
async def test_the_nearest_come_first(world: World, where: dict[str, Any], among: tuple[str, ...]) -> None:
    """Against all pairs, counted by hand."""
    asked = await uid_of(world.gateway, world.uids["one"], 5)
    hits = await similar(world.gateway, asked, first=7, **where)
    said = [(hit.snapshot["sequence_uid"], hit.snapshot["t_index"]) for hit in hits]
    target = descriptor(5, 0.0)
    all_pairs = {
        (world.uids[name], step): (1 + cosine(target, descriptor(step, TILTS[name]))) / 2
        for name in among
        for step in range(STEPS)
        if (name, step) != ("one", 5)
    }
    assert asked not in {hit.snapshot["uid"] for hit in hits}
    assert [hit.score for hit in hits] == pytest.approx(sorted(all_pairs.values(), reverse=True)[:7], abs=1e-5)
    assert [all_pairs[key] for key in said] == pytest.approx([hit.score for hit in hits], abs=1e-5)


async def test_what_cannot_be_searched_for(world: World) -> None:
    with pytest.raises(NotFound, match="EnergySnapshot"):
        await similar(world.gateway, "nowhere")
    asked = await uid_of(world.gateway, world.uids["one"], 5)
    for first in (0, 201):
        with pytest.raises(GraphError, match="within 1 … 200"):
            await similar(world.gateway, asked, first=first)


@pytest.mark.parametrize("search", SEARCHES)
async def test_a_search_is_one_of_the_vector_index(gateway: Gateway, search: tuple[str, bool, str]) -> None:
    if search == next(iter(SEARCHES)):
        await fill(gateway)
    found = await explain(gateway, SEARCHES[search])
    assert not {operator for operator in found if operator.endswith("Scan")}
    assert any("VectorIndexSearch" in operator for operator in found), found
