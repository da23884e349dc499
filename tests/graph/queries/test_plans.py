"""Plans: every query starts from an index. One that scans a label, or all nodes, is slow once the graph is large."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import ModuleType
from typing import Any, LiteralString, cast

import pytest

from graph.gateway import Gateway
from graph.queries import evaluation, leases, prediction, runs, sequences, splits, timeline, training
from tests.graph.queries import builders

pytestmark = pytest.mark.db

MODULES = (evaluation, leases, prediction, runs, sequences, splits, timeline, training)
STARTS = ("MATCH", "MERGE", "CREATE", "UNWIND")


def queries(module: ModuleType) -> dict[str, LiteralString]:
    """The module's Cypher constants that are whole queries."""
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": cast("LiteralString", value)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and value.split()[0] in STARTS and "_ROW" not in name
    }


QUERIES = {name: query for module in MODULES for name, query in queries(module).items()}


def operators(plan: dict[str, Any]) -> Iterator[str]:
    """Names of all operators of a plan."""
    yield plan["operatorType"].partition("@")[0]
    for child in plan.get("children", []):
        yield from operators(child)


@pytest.fixture
async def filled(gateway: Gateway) -> Gateway:
    """A graph with something under each big label, so that the planner has statistics to go by."""
    await builders.trained(gateway, stop=200)
    for source in ("two", "three"):
        await builders.append(gateway, 0, 200, source=source)
    await asyncio.gather(*(builders.submit(gateway) for _ in range(20)))
    return gateway


async def test_each_query_starts_from_an_index(filled: Gateway) -> None:
    assert len(QUERIES) > 30
    scans = {}
    async with filled.driver.session(database=filled.database) as session:
        for name, query in QUERIES.items():
            summary = await (await session.run("EXPLAIN " + query)).consume()
            assert summary.plan is not None
            found = {operator for operator in operators(summary.plan) if operator.endswith("Scan")}
            if found - {"NodeIndexSeekByRange", "NodeUniqueIndexSeekByRange"}:
                scans[name] = found
    assert scans == {}
