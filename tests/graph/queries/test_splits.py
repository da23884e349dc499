"""Splits: parts keep their distance, and the same division is one node."""

from __future__ import annotations

import pytest

from graph.errors import GraphError, NotFound
from graph.gateway import Gateway
from graph.queries import sequences
from graph.queries.splits import Part, create_split, split
from tests.graph.queries import builders

pytestmark = pytest.mark.db

ONE, TWO = builders.new_sequence("one").uid, builders.new_sequence("two").uid


@pytest.fixture(autouse=True)
async def _sequences(gateway: Gateway) -> None:
    await sequences.upsert_domain(gateway, builders.DOMAIN)
    await builders.append(gateway, 0, 20, source="one")
    await builders.append(gateway, 0, 20, source="two", variant="other")


async def test_a_split_gives_its_parts_by_role(gateway: Gateway) -> None:
    parts = [Part("test", ONE, 15, 19), Part("train", ONE, 0, 9), Part("train", TWO, 0, 19)]
    made = await create_split(gateway, name="late", kind="block", gap=5, parts=parts)
    assert await create_split(gateway, name="again", kind="block", gap=5, parts=parts[::-1]) == made
    assert await split(gateway, made.uid) == made
    assert (made.name, made.kind, made.gap) == ("late", "block", 5)
    assert set(made.of("train")) == set(parts[1:])
    assert made.of("test") == (parts[0],)
    assert made.of("val") == ()
    (row,) = await gateway.read("RETURN COUNT {(:Split)} AS splits, COUNT {()-[:HAS_PART]->()} AS parts")
    assert row == {"splits": 1, "parts": 3}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "at least one part"),
        ([Part("train", ONE, 5, 4)], "first <= last"),
        ([Part("train", ONE, 0, 9), Part("test", ONE, 12, 19)], "expected 5 steps between train and test .* got 2"),
        ([Part("train", ONE, 0, 9), Part("train", ONE, 9, 12)], "between train and train"),
    ],
)
async def test_parts_that_meet_are_refused(gateway: Gateway, parts: list[Part], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        await create_split(gateway, name="bad", kind="block", gap=5, parts=parts)


async def test_a_split_of_an_unknown_sequence_is_not_written(gateway: Gateway) -> None:
    with pytest.raises(NotFound, match="Sequence"):
        await create_split(gateway, name="x", kind="sequence", gap=0, parts=[Part("train", "nowhere", 0, 1)])
    assert await gateway.read("MATCH (p:Split) RETURN p.uid AS uid") == []
