"""Children are started again with back-off and ended with their supervisor."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import SecretStr

from graph.errors import Outage
from graph.settings import Settings
from resolvers.supervisor import Supervised, exported, listen


async def test_a_failing_child_is_started_again_later_and_later(tmp_path: Path) -> None:
    log = tmp_path / "starts"
    child = Supervised(name="flaky", module="tests.resolvers.flaky", arguments=(str(log),), environment=os.environ)
    ending = asyncio.Event()
    running = asyncio.create_task(child.run(ending))
    while not log.exists() or len(log.read_text().splitlines()) < 3:  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.05)
    ending.set()
    await asyncio.wait_for(running, 10)
    first, second = (later - earlier for earlier, later in pairwise(map(float, log.read_text().splitlines())))
    assert first >= 0.5
    assert second >= 1.0


async def test_a_child_is_ended(tmp_path: Path) -> None:
    child = Supervised(name="server", module="http.server", arguments=("--bind",), environment=os.environ)
    ending = asyncio.Event()
    running = asyncio.create_task(child.run(ending))
    await asyncio.sleep(0.3)
    ending.set()
    await asyncio.wait_for(running, 10)


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Outage, match=rf"127.0.0.1:{port}.*FIELDGRAPH_PORT") as raised:
            listen(Settings(_env_file=None, port=port))
    assert raised.value.exit_code == 3
    assert "\n" not in str(raised.value)


def test_a_child_reads_the_same_settings(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None, home=tmp_path, lease_seconds=3.5, NEO4J_URI="bolt://db:1", NEO4J_PASSWORD=SecretStr("hidden")
    )
    code = "from graph.settings import Settings; s = Settings(); \
print(s.home, s.lease_seconds, s.neo4j_uri, s.neo4j_password.get_secret_value(), s.store)"
    read = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **exported(settings)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert read.stdout.split() == [str(tmp_path), "3.5", "bolt://db:1", "hidden", str(tmp_path / "store")]
