"""The runner applies each migration once, in order, by one runner, and refuses what does not fit."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from graph.errors import GraphError, Outage
from graph.gateway import Gateway
from migrations import lock
from migrations.runner import DIRECTORY, MigrationReport, migrate, require_current, status

pytestmark = pytest.mark.db

CHAIN: Final = """
MATCH path = (:__Neo4jMigration {version: 'BASELINE'})-[:MIGRATED_TO*]->(last) WHERE NOT (last)-[:MIGRATED_TO]->()
RETURN [node IN nodes(path) | node.version] AS versions, last {.*} AS last LIMIT 10
"""
PROBES: Final = "MATCH (n:Probe) RETURN count(n) AS n"
LOCKS: Final = "MATCH (n:__Neo4jMigrationsLock) RETURN count(n) AS n"
TAKE_LOCK: Final = """
CREATE (:__Neo4jMigrationsLock {name: 'fieldgraph', id: 'another', until: datetime() + duration({seconds: $seconds})})
"""
# what a test has added to the chain is its end: the real migrations come before
FORGET: Final = (
    "MATCH (n:__Neo4jMigration|__Neo4jMigrationsLock) WHERE coalesce(n.version, '9') STARTS WITH '9' DETACH DELETE n"
)

Script = Callable[[str, str], Path]


@pytest.fixture
async def directory(gateway: Gateway, tmp_path: Path) -> AsyncIterator[Path]:
    """The real migrations, with room for those of the test, which the graph forgets afterwards."""
    for path in DIRECTORY.glob("*.cypher"):
        shutil.copy(path, tmp_path)
    yield tmp_path
    await gateway.write(FORGET)
    await gateway.execute_schema("DROP INDEX probe_n IF EXISTS")


@pytest.fixture
def script(directory: Path) -> Script:
    """Writes one migration."""

    def write(name: str, text: str) -> Path:
        path = directory / f"V{name}.cypher"
        path.write_text(text, "utf-8")
        return path

    return write


async def count(gateway: Gateway) -> int:
    """How many probes there are."""
    return int((await gateway.read(PROBES))[0]["n"])


async def test_pending_ones_are_applied_once_and_recorded(gateway: Gateway, directory: Path, script: Script) -> None:
    script("9001__schema", "CREATE INDEX probe_n IF NOT EXISTS FOR (p:Probe) ON (p.n);")
    script("9002__data", "CREATE (:Probe {n: 1}); // ;\nCREATE (:Probe {n: 2, text: 'a;\nb'})")
    with pytest.raises(GraphError, match=r"2 migrations are pending, the first is V9001.*Run `fieldgraph migrate`"):
        await require_current(gateway, directory=directory)

    planned = await migrate(gateway, directory=directory, dry_run=True)
    assert (planned.applied, planned.dry_run, await count(gateway)) == (("9001", "9002"), True, 0)

    real = len([*DIRECTORY.glob("*.cypher")])
    done = await migrate(gateway, directory=directory)
    assert (done.applied, done.already) == (("9001", "9002"), real)
    again = await migrate(gateway, directory=directory)
    assert (again.applied, again.already) == ((), real + 2)
    assert await count(gateway) == 2
    await require_current(gateway, directory=directory)

    [chain] = await gateway.read(CHAIN)
    assert chain["versions"][-2:] == ["9001", "9002"]
    assert chain["last"] == {
        "version": "9002",
        "description": "data",
        "source": "V9002__data.cypher",
        "type": "CYPHER",
        "checksum": (await status(gateway, directory=directory)).applied[-1].checksum,
    }
    assert (await gateway.read(LOCKS)) == [{"n": 0}]


async def test_of_two_runners_one_applies(gateway: Gateway, directory: Path, script: Script) -> None:
    script("9001__data", "CREATE (:Probe)")
    reports: list[MigrationReport] = await asyncio.gather(*(migrate(gateway, directory=directory) for _ in range(4)))
    assert sorted(report.applied for report in reports) == [(), (), (), ("9001",)]
    assert await count(gateway) == 1
    assert len(await gateway.read(CHAIN)) == 1


async def test_batches_and_schema_run_beside_data(gateway: Gateway, directory: Path, script: Script) -> None:
    script(
        "9001__mixed",
        """
        UNWIND range(1, 25) AS n CREATE (:Probe {n: n});
        CREATE INDEX probe_n IF NOT EXISTS FOR (p:Probe) ON (p.n);
        MATCH (p:Probe) CALL (p) { SET p.n = -p.n } IN TRANSACTIONS OF 10 ROWS;
        MATCH (p:Probe) WHERE p.n < -20 DELETE p;
        """,
    )
    await migrate(gateway, directory=directory)
    assert await count(gateway) == 20
    online = await gateway.read("SHOW INDEXES YIELD name, state WHERE name = 'probe_n' RETURN state")
    assert online == [{"state": "ONLINE"}]


async def test_a_faulty_one_is_not_recorded(gateway: Gateway, directory: Path, script: Script) -> None:
    path = script("9001__faulty", "CREATE (:Probe);\nCRAETE (:Probe);")
    with pytest.raises(GraphError, match=r"V9001__faulty\.cypher: .*it was not recorded") as raised:
        await migrate(gateway, directory=directory)
    assert raised.value.code == "MIGRATION_FAILED"
    assert "\n" not in str(raised.value)
    # nothing half-written, and no lock left behind
    assert await count(gateway) == 0
    assert (await gateway.read(LOCKS)) == [{"n": 0}]
    path.write_text("CREATE (:Probe)")
    assert (await migrate(gateway, directory=directory)).applied == ("9001",)


async def test_a_changed_one_is_refused(gateway: Gateway, directory: Path, script: Script) -> None:
    path = script("9001__data", "CREATE (:Probe)")
    await migrate(gateway, directory=directory)
    path.write_text("CREATE (:Probe:Changed)")
    with pytest.raises(GraphError, match=r"expected checksum \d+ as applied, got \d+") as raised:
        await migrate(gateway, directory=directory)
    assert raised.value.code == "MIGRATION_CHANGED"


async def test_one_that_is_gone_is_refused(gateway: Gateway, directory: Path, script: Script) -> None:
    path = script("9001__data", "CREATE (:Probe)")
    await migrate(gateway, directory=directory)
    path.unlink()
    with pytest.raises(GraphError, match=r"V9001__data\.cypher, which is not in .* newer one") as raised:
        await require_current(gateway, directory=directory)
    assert raised.value.code == "MIGRATION_MISSING"


async def test_out_of_order_needs_to_be_asked_for(gateway: Gateway, directory: Path, script: Script) -> None:
    script("9002__second", "CREATE (:Probe)")
    await migrate(gateway, directory=directory)
    script("9001__first", "CREATE (:Probe)")
    with pytest.raises(GraphError, match=r"9002 is already applied.*--out-of-order") as raised:
        await migrate(gateway, directory=directory)
    assert raised.value.code == "MIGRATION_OUT_OF_ORDER"
    assert (await migrate(gateway, directory=directory, out_of_order=True)).applied == ("9001",)
    assert (await gateway.read(CHAIN))[0]["versions"][-2:] == ["9002", "9001"]


async def test_a_dead_holders_lock_expires(gateway: Gateway, directory: Path, script: Script) -> None:
    script("9001__data", "CREATE (:Probe)")
    await gateway.write(TAKE_LOCK, seconds=-1)
    assert (await migrate(gateway, directory=directory)).applied == ("9001",)


async def test_a_living_holders_lock_is_respected(
    gateway: Gateway, directory: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script("9001__data", "CREATE (:Probe)")
    await gateway.write(TAKE_LOCK, seconds=60)
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.3)
    with pytest.raises(Outage, match="another migration has been running") as raised:
        await migrate(gateway, directory=directory)
    assert (raised.value.code, await count(gateway)) == ("MIGRATION_LOCKED", 0)


async def test_the_lock_is_renewed_while_it_is_held(gateway: Gateway) -> None:
    async with lock.migration_lock(gateway, seconds=1):
        await asyncio.sleep(1.5)
        alive = "MATCH (l:__Neo4jMigrationsLock) WHERE l.until > datetime() RETURN count(l) AS n"
        assert await gateway.read(alive) == [{"n": 1}]


async def test_who_has_lost_the_lock_records_nothing(gateway: Gateway, directory: Path, script: Script) -> None:
    # the migration itself takes its own lock away, as an expiry during a long pause would
    script("9001__data", "MATCH (l:__Neo4jMigrationsLock) DELETE l; CREATE (:Probe)")
    with pytest.raises(Outage, match="another runner took the lock") as raised:
        await migrate(gateway, directory=directory)
    assert (raised.value.code, await count(gateway)) == ("MIGRATION_LOCK_LOST", 0)


async def test_the_command_reports_as_json(gateway: Gateway, environment: dict[str, str]) -> None:
    def fieldgraph(*arguments: str) -> Any:
        command = [str(Path(sys.executable).with_name("fieldgraph")), *arguments]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return json.loads(ran.stdout)

    real = sorted(path.name for path in DIRECTORY.glob("*.cypher"))
    listed = await asyncio.to_thread(fieldgraph, "migrate", "--status", "--json")
    assert [one["source"] for one in listed["applied"]] == real
    assert listed["pending"] == []
    done = await asyncio.to_thread(fieldgraph, "migrate", "--json")
    assert (done["applied"], done["already"]) == ([], len(real))
