"""The gateway retries what may be retried and turns the rest into one line."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from neo4j import AsyncManagedTransaction
from neo4j.exceptions import CypherSyntaxError, TransientError

from graph.errors import Conflict, GraphError, Outage
from graph.gateway import Gateway
from graph.settings import Settings
from tests.conftest import free_port

pytestmark = pytest.mark.db

SET_BOTH = """
MATCH (first:Probe {key: $first}) SET first.n = first.n + 1
WITH first
MATCH (second:Probe {key: $second}) SET second.n = second.n + 1
"""


async def test_rows_are_plain_dicts(gateway: Gateway) -> None:
    written = await gateway.write("UNWIND $keys AS key CREATE (n:Probe {key: key}) RETURN n.key AS key", keys=[1, 2])
    assert written == [{"key": 1}, {"key": 2}]
    assert await gateway.read("MATCH (n:Probe) RETURN count(n) AS n, collect(n.key) AS keys") == [
        {"n": 2, "keys": [1, 2]}
    ]


async def test_a_read_cannot_write(gateway: Gateway) -> None:
    with pytest.raises(Exception, match="read access mode"):
        await gateway.read("CREATE (:Probe)")
    assert await gateway.read("MATCH (n:Probe) RETURN n LIMIT 1") == []


async def test_contending_writers_lose_nothing(gateway: Gateway) -> None:
    # opposite orders deadlock; managed transactions run again, bare ones are lost
    await gateway.write("UNWIND [1, 2] AS key CREATE (:Probe {key: key, n: 0})")
    orders = [(1, 2), (2, 1)] * 8
    await asyncio.gather(*(gateway.write(SET_BOTH, first=a, second=b) for a, b in orders))
    assert await gateway.read("MATCH (n:Probe) RETURN n.n AS n") == [{"n": 16}, {"n": 16}]


async def test_a_failed_unit_of_work_leaves_nothing(gateway: Gateway) -> None:
    async def work(unit: AsyncManagedTransaction) -> None:
        await (await unit.run("CREATE (:Probe)")).consume()
        raise ValueError("after the first statement")

    with pytest.raises(ValueError, match="after the first"):
        await gateway.transact(work)
    assert await gateway.read("MATCH (n:Probe) RETURN n LIMIT 1") == []


async def test_reads_run_again_after_a_transient_failure(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = 0
    session = gateway._session

    def flaky(**configuration: Any) -> Any:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise TransientError("the leader has moved")
        return session(**configuration)

    monkeypatch.setattr(gateway, "_session", flaky)
    assert await gateway.read("RETURN 1 AS one") == [{"one": 1}]
    assert attempts == 3


async def test_a_taken_key_is_a_conflict(gateway: Gateway) -> None:
    await gateway.execute_schema("CREATE CONSTRAINT probe_key IF NOT EXISTS FOR (n:Probe) REQUIRE n.key IS UNIQUE")
    try:
        await gateway.write("CREATE (:Probe {key: 7})")
        with pytest.raises(Conflict, match="already exists") as raised:
            await gateway.write("CREATE (:Probe {key: 7})")
        assert raised.value.code == "CONSTRAINT_VIOLATED"
    finally:
        await gateway.execute_schema("DROP CONSTRAINT probe_key IF EXISTS")


async def test_a_fault_in_a_query_stays_what_it_is(gateway: Gateway) -> None:
    with pytest.raises(CypherSyntaxError):
        await gateway.read("RETRUN 1")


async def test_unknown_database_is_one_line(gateway: Gateway, settings: Settings) -> None:
    with pytest.raises(GraphError, match=r"no database 'elsewhere'\. Set NEO4J_DATABASE") as raised:
        async with Gateway.open(settings.model_copy(update={"neo4j_database": "elsewhere"})):
            pass
    assert (raised.value.code, raised.value.exit_code) == ("NEO4J_DATABASE", 2)


async def test_no_server_is_an_outage(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"neo4j_uri": f"bolt://127.0.0.1:{free_port()}"})
    with pytest.raises(Outage, match=r"does not answer .* Start it") as raised:
        async with Gateway.open(nowhere):
            pass
    assert (raised.value.code, raised.value.exit_code) == ("NEO4J_UNAVAILABLE", 3)


async def test_unusable_address_is_bad_use(settings: Settings) -> None:
    with pytest.raises(GraphError, match="NEO4J_URI 'somewhere'") as raised:
        async with Gateway.open(settings.model_copy(update={"neo4j_uri": "somewhere"})):
            pass
    assert raised.value.exit_code == 2


async def test_neomodel_shares_the_driver(gateway: Gateway) -> None:
    from neomodel import adb

    async def elsewhere() -> tuple[list[list[Any]], Any]:
        await gateway.connect_models()
        return await adb.cypher_query("RETURN 1 AS one")

    # a task of its own: neomodel's database name would otherwise be that of another context
    rows, _ = await asyncio.create_task(elsewhere())
    assert rows == [[1]]
    assert adb.driver is gateway.driver


async def test_times_are_the_servers(gateway: Gateway) -> None:
    # leases rest on it: the clock of the machine that asks plays no part
    [row] = await gateway.read("RETURN datetime() AS now")
    assert abs((row["now"].to_native() - datetime.now(UTC)).total_seconds()) < 60
