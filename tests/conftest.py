"""One real Neo4j for the whole session, emptied between tests that use it; strict JAX everywhere."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from graph.embedded import server
from graph.gateway import Gateway
from graph.settings import Settings
from migrations.runner import migrate

# read by JAX when, and only if, a test imports it: silent broadcasting and promotion are errors, and sharding is
# tested on four devices of any machine
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "4")
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
os.environ.setdefault("JAX_NUMPY_DTYPE_PROMOTION", "strict")
# tests compile much and compute little: a relaxation is compiled in a third of the time
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
)

EMPTY = """
MATCH (n) WHERE NOT n:__Neo4jMigration AND NOT n:__Neo4jMigrationsLock
CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS
"""

# a server that starts in half the processor time: one compiler, a small heap
SMALL_SERVER: dict[str, Any] = {
    "neo4j_heap": "512m",
    "neo4j_page_cache": "64m",
    "neo4j_jvm": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of the session: the server that NEO4J_URI names, else one of its own in a home that ends with it."""
    store = tmp_path_factory.mktemp("store")
    if os.environ.get("NEO4J_URI"):
        yield Settings(home=tmp_path_factory.mktemp("home"), store=store)
        return
    home = Path(tempfile.mkdtemp(prefix="fieldgraph-tests-"))
    own = Settings(
        _env_file=None,
        home=home,
        store=store,
        bolt_port=free_port(),
        http_port=free_port(),
        **SMALL_SERVER,
    )
    command = [sys.executable, "-m", "tests.server_guard", str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as guard:
        server.start(own)
        yield own
        guard.communicate()  # closes the pipe: the guard stops the server and removes the home


@pytest.fixture(scope="session")
def environment(settings: Settings) -> dict[str, str]:
    """Environment for a command in a process of its own: the session's server and store."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("FIELDGRAPH_")}
    ours = {"FIELDGRAPH_HOME": settings.home, "FIELDGRAPH_STORE": settings.store, "FIELDGRAPH_CACHE": settings.cache}
    return outside | {name: str(path) for name, path in ours.items()}


@pytest.fixture(scope="session")
async def _migrated(settings: Settings) -> AsyncIterator[Gateway]:
    async with Gateway.open(settings) as gateway:
        await migrate(gateway)
        yield gateway


@pytest.fixture
async def gateway(_migrated: Gateway) -> Gateway:
    """The session's gateway to an empty graph: its schema and migrations are there, its data are not."""
    await _migrated.execute_schema(EMPTY)
    return _migrated
