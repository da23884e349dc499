"""What Neo4j would do for a query."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

from graph.gateway import Gateway
from tests.graph.queries import builders


async def fill(gateway: Gateway) -> None:
    """Something under each big label, and the planner's statistics brought up to it."""
    await builders.trained(gateway, stop=200)
    for source in ("two", "three"):
        await builders.append(gateway, 0, 200, source=source)
    # many against the few that have links, or to read them all would be the better plan
    for _ in range(150):
        await builders.submit(gateway)
    # samples and plans made while the graph was empty would be kept for a while
    await gateway.execute_schema("CALL db.prepareForReplanning()")


async def explain(gateway: Gateway, query: LiteralString) -> set[str]:
    """Names of the operators that Neo4j would run."""
    async with gateway.driver.session(database=gateway.database) as session:
        summary = await (await session.run("EXPLAIN " + query)).consume()
    assert summary.plan is not None
    return set(_operators(summary.plan))


def _operators(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["operatorType"].partition("@")[0]
    for child in plan.get("children", []):
        yield from _operators(child)
