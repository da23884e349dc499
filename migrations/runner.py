"""Brings the graph's schema up to date, once, and remembers how.

What was applied is a chain `(:__Neo4jMigration)-[:MIGRATED_TO]->(:__Neo4jMigration)` in the format of neo4j-migrations
(Java). Schema statements and `IN TRANSACTIONS` run in auto-commit, data in managed transactions, and a migration is
recorded in the same transaction as its data where that comes last. Forward only: back up before, there is no way down.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from graph.errors import GraphError, Outage
from graph.gateway import Gateway
from migrations import statements
from migrations.lock import create_constraint, migration_lock
from migrations.scripts import Script, read_scripts

DIRECTORY = Path(__file__).parent

CONSTRAINT: Final = """
CREATE CONSTRAINT unique_version___Neo4jMigration IF NOT EXISTS
FOR (migration:__Neo4jMigration) REQUIRE migration.version IS UNIQUE
"""
APPLIED: Final = """
MATCH (:__Neo4jMigration)-[step:MIGRATED_TO]->(migration:__Neo4jMigration)
RETURN migration.version AS version, migration.description AS description, migration.source AS source,
       migration.checksum AS checksum, toString(step.at) AS at
ORDER BY version LIMIT 10000
"""
BASELINE: Final = """
MERGE (:__Neo4jMigration {version: 'BASELINE'})
"""
RECORD: Final = """
MATCH (:__Neo4jMigrationsLock {name: 'fieldgraph', id: $holder})
MATCH (last:__Neo4jMigration) WHERE NOT (last)-[:MIGRATED_TO]->()
CREATE (last)-[:MIGRATED_TO {at: datetime(), in: duration({milliseconds: $milliseconds}), by: $by, connectedAs: $user}]
  ->(migration:__Neo4jMigration {
      version: $version, description: $description, source: $source, type: 'CYPHER', checksum: $checksum
    })
RETURN migration.version AS version
"""
USER: Final = "SHOW CURRENT USER YIELD user RETURN user"
AWAIT_INDEXES: Final = "CALL db.awaitIndexes(600)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """One migration in the graph."""

    version: str
    description: str
    source: str  # file name
    checksum: str
    at: str  # ISO 8601


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationStatus:
    """Which migrations the graph has, and which it still wants, both by version."""

    applied: tuple[Applied, ...]
    pending: tuple[Script, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationReport:
    """What `migrate` did."""

    applied: tuple[str, ...]  # versions applied now; with `dry_run` those that would be
    already: int  # migrations that were there before
    seconds: float
    dry_run: bool


async def status(gateway: Gateway, *, directory: Path = DIRECTORY) -> MigrationStatus:
    """Compare disk and graph; writes nothing.

    Raises:
        GraphError: MIGRATION_CHANGED or MIGRATION_MISSING, where an applied one differs from disk or is not there;
            MIGRATION_INVALID, where a file is misnamed.
    """
    scripts = {script.version: script for script in read_scripts(directory)}
    applied = tuple(Applied(**row) for row in await gateway.read(APPLIED))
    for one in applied:
        script = scripts.pop(one.version, None)
        if script is None:
            raise GraphError(
                "MIGRATION_MISSING",
                f"the graph has migration {one.source}, which is not in {directory}.",
                next_step="Update fieldgraph: this graph was migrated by a newer one.",
            )
        if script.checksum != one.checksum:
            raise GraphError(
                "MIGRATION_CHANGED",
                f"{script.source}: expected checksum {one.checksum} as applied, got {script.checksum}.",
                next_step="Undo the change and write a new migration instead.",
            )
    return MigrationStatus(applied=applied, pending=tuple(scripts.values()))


async def require_current(gateway: Gateway, *, directory: Path = DIRECTORY) -> None:
    """Refuse to serve a graph whose constraints are not all there: without them MERGE makes duplicates.

    Raises:
        GraphError: code MIGRATION_PENDING, or what `status` raises.
    """
    if pending := (await status(gateway, directory=directory)).pending:
        raise GraphError(
            "MIGRATION_PENDING",
            f"{len(pending)} migrations are pending, the first is {pending[0].source}.",
            next_step="Run `fieldgraph migrate`.",
        )


async def migrate(
    gateway: Gateway, *, directory: Path = DIRECTORY, dry_run: bool = False, out_of_order: bool = False
) -> MigrationReport:
    """Apply what is pending, in order of version. Of two runners at once, one applies and the other finds it done.

    Raises:
        GraphError: code MIGRATION_OUT_OF_ORDER for a pending one below an applied one, unless `out_of_order`;
            MIGRATION_FAILED, where a statement failed; or what `status` raises.
        Outage: MIGRATION_LOCKED or MIGRATION_LOCK_LOST.
    """
    began = time.monotonic()

    def report(seen: MigrationStatus, applied: Iterable[Script]) -> MigrationReport:
        versions = tuple(script.version for script in applied)
        seconds = time.monotonic() - began
        return MigrationReport(applied=versions, already=len(seen.applied), seconds=seconds, dry_run=dry_run)

    seen = await _plan(gateway, directory, out_of_order=out_of_order)
    if dry_run or not seen.pending:
        return report(seen, seen.pending)
    async with migration_lock(gateway) as holder:
        await create_constraint(gateway, CONSTRAINT)
        await gateway.write(BASELINE)
        seen = await _plan(gateway, directory, out_of_order=out_of_order)
        for script in seen.pending:
            await _apply(gateway, script, holder)
    return report(seen, seen.pending)


async def _plan(gateway: Gateway, directory: Path, *, out_of_order: bool) -> MigrationStatus:
    seen = await status(gateway, directory=directory)
    newest = max((one.version for one in seen.applied), default="")
    late = [script for script in seen.pending if script.version < newest]
    if late and not out_of_order:
        raise GraphError(
            "MIGRATION_OUT_OF_ORDER",
            f"{late[0].source} is pending, but {newest} is already applied.",
            next_step="Check that it does not depend on the order, then run `fieldgraph migrate --out-of-order`.",
        )
    return seen


async def _apply(gateway: Gateway, script: Script, holder: str) -> None:
    """Run the statements of one migration and record it."""
    began = time.monotonic()
    user = (await gateway.read(USER))[0]["user"]

    def record() -> dict[str, Any]:
        return {
            "holder": holder,
            "milliseconds": round(1000 * (time.monotonic() - began)),
            "by": getpass.getuser(),
            "user": user,
            "version": script.version,
            "description": script.description,
            "source": script.source,
            "checksum": script.checksum,
        }

    async def transaction(texts: Sequence[str], *, last: bool) -> None:
        async def work(unit: Any) -> None:
            for text in texts:
                await (await unit.run(text)).consume()
            if last and not await (await unit.run(RECORD, record())).data():
                raise Outage(
                    "MIGRATION_LOCK_LOST",
                    f"{script.source}: another runner took the lock.",
                    next_step="Run `fieldgraph migrate` again.",
                )

        await gateway.transact(work)

    try:
        groups = [*_groups(script.executable)]
        # what is recorded with the last data statement cannot be half applied; after anything else it stands alone
        if not groups or groups[-1][0]:
            groups.append((False, ()))
        for number, (alone, texts) in enumerate(groups, start=1):
            if alone:
                for text in texts:
                    await gateway.execute_schema(text)
                continue
            await gateway.execute_schema(AWAIT_INDEXES)
            await transaction(texts, last=number == len(groups))
    except GraphError:
        raise
    except Exception as error:
        # a faulty statement reaches us as the driver's own error, whose first line says where it is wrong
        raise GraphError(
            "MIGRATION_FAILED",
            f"{script.source}: {str(error).splitlines()[0]}",
            next_step="Correct it and run `fieldgraph migrate` again; it was not recorded.",
        ) from error


def _groups(texts: Iterable[str]) -> Iterator[tuple[bool, tuple[str, ...]]]:
    """Neighbours that run in the same way: (in auto-commit?, their texts)."""
    for alone, group in groupby(texts, lambda text: statements.is_schema(text) or statements.is_batched(text)):
        yield alone, tuple(group)
