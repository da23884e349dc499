"""Leaks: each kind is found where it is planted, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from graph.gateway import Gateway
from graph.queries import sequences
from graph.queries.leaks import QUERIES, Leak, leaks
from graph.queries.sequences import NewSequence
from graph.queries.splits import Part, create_split
from tests.graph.queries import builders
from tests.graph.queries.plans import explain, fill

pytestmark = pytest.mark.db


async def write(gateway: Gateway, source: str, *, variant: str, seed: int | None = None, **recipe: Any) -> str:
    """A sequence of 20 frames; equal variants are equal frames."""
    sequence = NewSequence(
        domain="plasma", source=source, recipe=recipe, height=8, width=16, dt=0.5, generator="test", rng_seed=seed
    )
    await sequences.append_segment(
        gateway, sequence, builders.new_segment(0, 20), builders.frames(0, 20, variant=variant), "Simulated"
    )
    return sequence.uid


async def split(gateway: Gateway, *parts: Part, gap: int = 0) -> str:
    return (await create_split(gateway, name="s", kind="block", gap=gap, parts=parts)).uid


@pytest.fixture(autouse=True)
async def _domain(gateway: Gateway) -> None:
    await sequences.upsert_domain(gateway, builders.DOMAIN)


async def test_a_clean_split_has_none(gateway: Gateway) -> None:
    one = await write(gateway, "one", variant="1", seed=0, number=0)
    two = await write(gateway, "two", variant="2", seed=0, number=1)
    three = await write(gateway, "three", variant="3", seed=1, number=0)
    parts = [Part("train", one, 0, 9), Part("val", one, 12, 19), Part("train", two, 0, 19), Part("test", three, 0, 19)]
    assert await leaks(gateway, await split(gateway, *parts, gap=2)) == []
    assert await leaks(gateway, "no split at all") == []


async def test_the_same_frames_under_another_name(gateway: Gateway) -> None:
    one = await write(gateway, "one", variant="same")
    copy = await write(gateway, "copy", variant="same")
    uid = await split(gateway, Part("train", one, 2, 19), Part("test", copy, 0, 3))
    found = await leaks(gateway, uid)
    assert {(leak.kind, leak.what, leak.t_index) for leak in found} == {
        ("equal_frames", builders.sha(step, "same"), (step, step)) for step in (2, 3)
    }
    assert {(leak.roles, leak.sequences) for leak in found} == {(("test", "train"), (copy, one))}
    assert str(found[0]).startswith(f"frame {found[0].t_index[0]} of sequence {copy} (test) equals frame ")
    # within one role it is no leak
    assert await leaks(gateway, await split(gateway, Part("train", one, 0, 19), Part("train", copy, 0, 19))) == []


async def test_two_sequences_of_one_draw(gateway: Gateway) -> None:
    one = await write(gateway, "one", variant="1", seed=7, number=3, dt=0.5)
    other = await write(gateway, "finer", variant="2", seed=7, number=3, dt=0.25)
    base = await write(gateway, "a", variant="3", seed=7, base="b0", number=0)
    again = await write(gateway, "b", variant="4", seed=7, base="b0", number=1)
    uid = await split(
        gateway,
        Part("train", one, 0, 19),
        Part("test", other, 0, 19),
        Part("train", base, 0, 19),
        Part("val", again, 0, 19),
    )
    assert {(leak.kind, leak.roles, leak.sequences, leak.what) for leak in await leaks(gateway, uid)} == {
        ("same_draw", ("test", "train"), (other, one), "plasma/test/7/3"),
        ("same_draw", ("train", "val"), (base, again), "plasma/test/7/b0"),
    }


@pytest.mark.parametrize(
    ("first", "last", "kind"),
    [(8, 19, "overlap"), (9, 9, "overlap"), (10, 19, "gap"), (11, 19, "gap"), (12, 19, None)],
)
async def test_stretches_that_were_moved_afterwards(gateway: Gateway, first: int, last: int, kind: str | None) -> None:
    """`create_split` would refuse them; somebody changed the graph."""
    one = await write(gateway, "one", variant="1")
    uid = await split(gateway, Part("train", one, 0, 9), Part("test", one, 15, 19), gap=2)
    await gateway.write(
        "MATCH (:Split)-[part:HAS_PART {role: 'test'}]->() SET part.first = $first, part.last = $last",
        first=first,
        last=last,
    )
    found = [leak for leak in await leaks(gateway, uid) if leak.kind in ("overlap", "gap")]
    expected = (
        []
        if kind is None
        else [
            Leak(kind=kind, roles=("test", "train"), sequences=(one, one), t_index=(first, 0), what="")  # type: ignore[arg-type]
        ]
    )
    assert found == expected
    if kind == "overlap":
        assert [leak.t_index for leak in await leaks(gateway, uid) if leak.kind == "equal_frames"]


async def test_leaks_start_from_the_split(gateway: Gateway) -> None:
    await fill(gateway)
    for query in QUERIES.values():
        found = await explain(gateway, query)
        assert not {operator for operator in found if operator.endswith("Scan")}
        assert any("Seek" in operator for operator in found)
