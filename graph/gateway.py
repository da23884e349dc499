"""The one way into Neo4j: owns the driver, always names the database and retries what may be retried.

Reads are auto-commit (one round trip less than a transaction) and routed to readers, with a retry of their own; writes
are managed transactions, which the driver runs again after a deadlock or a change of leader. A driver is bound to one
event loop: open one gateway per process and loop. Failures that a user can act on become one-line errors.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, LiteralString, TypeVar

from neo4j import READ_ACCESS, AsyncDriver, AsyncGraphDatabase, AsyncManagedTransaction, AsyncSession, Query
from neo4j import exceptions as driver_errors

from graph.embedded import server
from graph.errors import Conflict, GraphError, Outage
from graph.settings import Settings

T = TypeVar("T")

READ_ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.1  # doubled after each attempt
RETRY_SECONDS = 30.0  # how long managed writes are retried


class Gateway:
    """Runs Cypher; rows are plain dicts."""

    def __init__(self, driver: AsyncDriver, *, uri: str, database: str) -> None:
        self.driver = driver
        self.uri = uri
        self.database = database
        # the server ends a read that takes longer, in seconds; None: the server's own limit
        self.read_seconds: float | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Gateway]:
        """Connect to Neo4j and close the driver on the way out.

        Where no URI is set, the embedded server is started if need be and left running for others.

        Raises:
            GraphError: NEO4J_AUTH or NEO4J_DATABASE.
            Outage: NEO4J_UNAVAILABLE or what `graph.embedded.server.start` raises.
        """
        if settings.neo4j_uri:
            uri, secret = settings.neo4j_uri, settings.neo4j_password
        else:
            uri = (await asyncio.to_thread(server.start, settings)).uri
            secret = server.password(settings)
        auth = (settings.neo4j_username, secret.get_secret_value()) if secret else None
        try:
            driver = AsyncGraphDatabase.driver(
                uri,
                auth=auth,
                notifications_min_severity="OFF",
                max_transaction_retry_time=RETRY_SECONDS,
                user_agent="fieldgraph",
            )
        except driver_errors.ConfigurationError as error:
            raise GraphError(
                "NEO4J_URI", f"NEO4J_URI {uri!r}: {error}.", next_step="Use e.g. neo4j://host:7687."
            ) from None
        async with driver:
            gateway = cls(driver, uri=uri, database=settings.neo4j_database)
            await gateway.read("RETURN 1")
            yield gateway

    async def read(self, query: LiteralString, /, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of a query that writes nothing; run again after a transient failure.

        Raises:
            GraphError: see `open`.
        """
        pause = FIRST_PAUSE_SECONDS
        with self._one_line_errors():
            for attempt in range(1, READ_ATTEMPTS + 1):
                try:
                    async with self._session(default_access_mode=READ_ACCESS) as session:
                        return await _rows(await session.run(Query(query, timeout=self.read_seconds), parameters))
                except (driver_errors.DriverError, driver_errors.Neo4jError) as error:
                    if attempt == READ_ATTEMPTS or not error.is_retryable():
                        raise
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))
                pause *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def write(self, query: LiteralString, /, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of one statement in a managed transaction, retried by the driver.

        Raises:
            Conflict: code CONSTRAINT_VIOLATED.
            GraphError: see `open`.
        """

        async def work(transaction: AsyncManagedTransaction) -> list[dict[str, Any]]:
            return await _rows(await transaction.run(query, parameters))

        return await self.transact(work)

    async def transact(self, work: Callable[[AsyncManagedTransaction], Awaitable[T]]) -> T:
        """Run `work` in one managed transaction; it must be idempotent, for it may run again.

        Raises:
            Conflict: code CONSTRAINT_VIOLATED.
            GraphError: see `open`.
        """
        with self._one_line_errors():
            async with self._session() as session:
                return await session.execute_write(work)

    async def execute_schema(self, statement: str) -> None:
        """Run one statement in auto-commit: schema changes and `CALL … IN TRANSACTIONS` admit no other way."""
        with self._one_line_errors():
            async with self._session() as session:
                await (await session.run(statement)).consume()

    async def connect_models(self) -> None:
        """Let neomodel (`graph/models`) use this driver and database in the current task.

        neomodel keeps the database's name in a ContextVar, which a task inherits only from the one that set it:
        call this in each unit of work that uses the models; after the first time it costs nothing.
        """
        from neomodel import adb, get_config

        get_config().database_name = self.database
        if adb.driver is not self.driver:
            with self._one_line_errors():
                await adb.set_connection(driver=self.driver)
        adb._database_name = self.database

    def _session(self, **configuration: Any) -> AsyncSession:
        # one bookmark manager for all sessions: on a cluster, we read what we wrote
        return self.driver.session(
            database=self.database, bookmark_manager=self.driver.execute_query_bookmark_manager, **configuration
        )

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        """Turn the failures that a user can act on into our own; a fault in a query stays what it is."""
        try:
            yield
        except driver_errors.AuthError as error:
            raise GraphError(
                "NEO4J_AUTH",
                f"Neo4j at {self.uri} refused the user name or password.",
                next_step="Correct NEO4J_USERNAME and NEO4J_PASSWORD (unset, the embedded server's own is used).",
            ) from error
        except driver_errors.ConstraintError as error:
            raise Conflict("CONSTRAINT_VIOLATED", f"{error.message}.") from error
        except driver_errors.ClientError as error:
            if "TransactionTimedOut" in error.code:
                raise GraphError(
                    "TIMEOUT", "Neo4j ended a query at its time limit.", next_step="Ask for less."
                ) from error
            if "Transaction.Terminated" in error.code:  # by hand, or because the server stops
                raise Outage(
                    "NEO4J_TERMINATED",
                    "expected a transaction to run to its end, got one that Neo4j was told to terminate.",
                    next_step="Nothing was written; try again.",
                ) from error
            if "Database.DatabaseNotFound" not in error.code:
                raise
            raise GraphError(
                "NEO4J_DATABASE",
                f"Neo4j at {self.uri} has no database {self.database!r}.",
                next_step="Set NEO4J_DATABASE to one that `SHOW DATABASES` lists.",
            ) from error
        except (driver_errors.ServiceUnavailable, driver_errors.SessionExpired, driver_errors.TransientError) as error:
            raise Outage(
                "NEO4J_UNAVAILABLE",
                f"Neo4j at {self.uri} does not answer ({type(error).__name__}).",
                next_step="Start it (`fieldgraph db start`) or correct NEO4J_URI.",
            ) from error


async def _rows(result: Any) -> list[dict[str, Any]]:
    return [dict(record.items()) async for record in result]
