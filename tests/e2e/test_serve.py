"""`fieldgraph serve`: everything starts, what dies comes back, and nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import psutil
import pytest

from resolvers.services.context import Services
from tests.e2e.conftest import environment, until

pytestmark = pytest.mark.db

SERVE = [sys.executable, "-c", "from resolvers.cli import main; main()", "serve"]


@pytest.fixture
def serving(services: Services) -> Iterator[subprocess.Popen[bytes]]:
    """A `serve` on a free port over the session's Neo4j, ended with the test at the latest."""
    command = [*SERVE, "--port", "0", "--json"]
    with subprocess.Popen(command, env=environment(services.settings), stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


async def test_serve(serving: subprocess.Popen[bytes]) -> None:
    assert serving.stdout is not None
    text = b""
    while not text.rstrip().endswith(b"}"):
        text += await asyncio.to_thread(serving.stdout.readline)
    urls = json.loads(text)
    base = urls["graphql"].removesuffix("/graphql")
    async with httpx.AsyncClient(base_url=base, timeout=60) as http:
        assert (await http.get("/healthz")).is_success
        assert (await http.get("/readyz")).is_success
        first, second = await http.get(urls["login"]), await http.get(urls["login"])
        assert (first.status_code, second.status_code) == (303, 401)

        supervisor = psutil.Process(serving.pid)
        before = {child.pid for child in supervisor.children()}
        assert len(before) == 4  # the API and three workers
        victim = next(child for child in supervisor.children() if "batch" in child.cmdline())
        victim.kill()

        async def replaced() -> bool:
            now = supervisor.children()
            return victim.pid not in {child.pid for child in now} and any("batch" in child.cmdline() for child in now)

        await until(replaced, seconds=20, what="a new batch worker")
        family = supervisor.children(recursive=True)
    serving.terminate()
    assert await asyncio.to_thread(serving.wait, 40) == 0
    _, left = await asyncio.to_thread(psutil.wait_procs, family, timeout=10)
    assert left == []


def test_a_port_in_use_ends_serve_with_3(services: Services) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [*SERVE, "--port", str(port)],
            env=environment(services.settings),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert ended.returncode == 3
    assert ended.stderr.startswith(f"error: expected to listen on 127.0.0.1:{port}")
    assert len(ended.stderr.splitlines()) == 1
