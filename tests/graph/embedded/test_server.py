"""The embedded server: one per home, whoever starts it and however it ended.

Starts take seconds, so each test here is one story with few of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, LiteralString

import pytest
from pydantic import SecretStr

from graph.embedded import backup, conf, jars, server
from graph.embedded.conf import Layout
from graph.errors import GraphError, Outage
from graph.gateway import Gateway
from graph.settings import Settings
from tests.conftest import SMALL_SERVER, free_port

pytestmark = pytest.mark.db
START = "from graph.embedded import server; from graph.settings import Settings; print(server.start(Settings()).pid)"
LABELS: Final = "MATCH (n) RETURN labels(n)[0] AS label ORDER BY label LIMIT 10"


@pytest.fixture
def own() -> Iterator[Settings]:
    """A home of its own, whose server ends with the test, or with the test process."""
    home = Path(tempfile.mkdtemp(prefix="fieldgraph-tests-"))
    ports = {"bolt_port": free_port(), "http_port": free_port()}
    command = [sys.executable, "-m", "tests.server_guard", str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as guard:
        # a first password that neo4j-admin could take for an option; the session's own server has a generated one
        yield Settings(_env_file=None, home=home, NEO4J_PASSWORD=SecretStr("-dash-first"), **ports, **SMALL_SERVER)
        guard.communicate()


def environment(settings: Settings) -> dict[str, str]:
    """What makes a process of its own see the same settings."""
    names = ("home", "cache", "bolt_port", "http_port", *SMALL_SERVER)
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("NEO4J_", "FIELDGRAPH_"))}
    ours = {f"FIELDGRAPH_{name.upper()}": str(getattr(settings, name)) for name in names}
    return (
        outside
        | ours
        | {"NEO4J_PASSWORD": settings.neo4j_password.get_secret_value() if settings.neo4j_password else ""}
    )


def cypher(settings: Settings, *statements: LiteralString) -> list[dict[str, Any]]:
    """Rows of the last of these statements."""

    async def work() -> list[dict[str, Any]]:
        rows = []
        async with Gateway.open(settings) as gateway:
            for statement in statements:
                rows = await gateway.write(statement)
        return rows

    return asyncio.run(work())


@pytest.mark.skipif("NEO4J_URI" in os.environ, reason="the session uses a server that is not embedded")
def test_life_of_a_server(own: Settings, tmp_path: Path) -> None:
    # two starters at once: one starts, the other finds
    starters = [
        subprocess.Popen([sys.executable, "-c", START], env=environment(own), stdout=subprocess.PIPE) for _ in range(2)
    ]
    pids = {int(starter.communicate()[0]) for starter in starters}
    running = server.find(own)
    assert running is not None
    assert pids == {running.pid}
    assert server.start(own) == running
    assert server.answers(running)
    with urllib.request.urlopen(running.browser, timeout=10) as answer:
        assert b"Neo4j Browser" in answer.read()
    layout = Layout.of(own)
    assert stat.S_IMODE(layout.password.stat().st_mode) == 0o600
    assert stat.S_IMODE(layout.root.stat().st_mode) == 0o700

    # a wrong password is one line
    with pytest.raises(GraphError, match="refused the user name or password") as raised:
        cypher(own.model_copy(update={"neo4j_password": SecretStr("wrong")}), LABELS)
    assert (raised.value.code, raised.value.exit_code, "\n" in str(raised.value)) == ("NEO4J_AUTH", 2, False)

    cypher(own, "CREATE (:Kept)")

    # at rest: dump it, and refuse what is no dump without harm
    assert server.stop(own)
    assert not server.stop(own)
    assert server.find(own) is None
    dump = tmp_path / "graph.dump"
    assert backup.backup(own, dump) == dump.stat().st_size > 0
    with pytest.raises(GraphError, match="exists already"):
        backup.backup(own, dump)
    (tmp_path / "torn.dump").write_bytes(dump.read_bytes()[:2000])
    with pytest.raises(GraphError, match=r"neo4j-admin database load failed: Failed to load database .*Truncated"):
        backup.restore(own, tmp_path / "torn.dump")
    (tmp_path / "text.dump").write_text("no dump")
    with pytest.raises(GraphError, match=r"is not a Neo4j dump\. Name one made by"):
        backup.restore(own, tmp_path / "text.dump")

    # a restart keeps data and password
    restarted = server.start(own)
    assert cypher(own, LABELS) == [{"label": "Kept"}]
    cypher(own, "MATCH (n:Kept) DETACH DELETE n", "CREATE (:Lost)")

    # killed: its state file is stale, which is seen; then the dump takes the graph back to what it was
    os.kill(restarted.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while server.find(own) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert layout.state.exists()
    assert server.find(own) is None
    backup.restore(own, dump)
    assert server.start(own).pid != restarted.pid
    assert cypher(own, LABELS) == [{"label": "Kept"}]


def test_a_server_whose_program_is_still_being_loaded_is_ours(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    # Linux wakes posix_spawn's caller before the new program's command line can be read; seen once in 15 under load
    layout = Layout.of(own)
    layout.root.mkdir(parents=True)
    layout.state.write_text(json.dumps({"pid": os.getpid(), "bolt_port": 1, "http_port": 2, "version": "any"}))
    lines = [["java", f"--home-dir={layout.root}"], [], []]
    monkeypatch.setattr("psutil.Process.cmdline", lambda self: lines.pop())
    assert server.find(own) is not None
    monkeypatch.undo()
    layout.state.unlink()


def test_stale_state_of_a_process_that_is_not_ours(own: Settings) -> None:
    # the number of a dead server may meanwhile belong to anybody, here to us
    layout = Layout.of(own)
    layout.root.mkdir(parents=True)
    state = {"pid": os.getpid(), "bolt_port": 1, "http_port": 2, "version": jars.NEO4J_VERSION}
    layout.state.write_text(json.dumps(state))
    assert server.find(own) is None
    assert not server.stop(own)
    layout.state.write_text("{")
    assert server.find(own) is None


@pytest.mark.parametrize("name", ["bolt_port", "http_port"])
def test_port_in_use_names_port_and_setting(own: Settings, name: str) -> None:
    message = rf"port {getattr(own, name)} is held by .*set FIELDGRAPH_{name.upper()}"
    with socket.create_server(("127.0.0.1", getattr(own, name))), pytest.raises(Outage, match=message) as raised:
        server.start(own)
    assert (raised.value.code, raised.value.exit_code) == ("PORT_IN_USE", 3)
    assert not Layout.of(own).data.exists()


def test_corrupted_jar_stops_the_start(own: Settings, tmp_path: Path) -> None:
    # the real jars, one of them changed by a byte
    directory = jars.jar_directory(tmp_path)
    directory.mkdir()
    real = jars.jar_directory(own.cache)
    for jar in jars.read_lock():
        (directory / jar.filename).symlink_to(real / jar.filename)
    broken = directory / f"neo4j-kernel-{jars.NEO4J_VERSION}.jar"
    data = bytearray(broken.read_bytes())
    data[-1] ^= 1
    broken.unlink()
    broken.write_bytes(data)

    changed = own.model_copy(update={"cache": tmp_path})
    command = [str(Path(sys.executable).with_name("fieldgraph")), "db", "start"]
    ran = subprocess.run(command, env=environment(changed), capture_output=True, text=True, check=False)
    assert ran.returncode == 3
    assert ran.stdout == ""
    assert f"neo4j-kernel-{jars.NEO4J_VERSION}.jar: expected sha256" in ran.stderr
    assert "Delete this file. Run `fieldgraph db fetch`" in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert not Layout.of(own).data.exists()


def test_cold_cache_without_network_says_what_to_do(own: Settings, tmp_path: Path) -> None:
    (tmp_path / "jgo.conf").write_text("[repositories]\ncentral = http://127.0.0.1:9\n")
    cold = own.model_copy(update={"cache": tmp_path / "cache"})
    offline = environment(cold) | {"JGO_CONFIG_FILE": str(tmp_path / "jgo.conf"), "NO_PROXY": "127.0.0.1"}
    command = [str(Path(sys.executable).with_name("fieldgraph")), "db", "start"]
    ran = subprocess.run(command, env=offline, capture_output=True, text=True, check=False)
    assert ran.returncode == 3
    assert "Check the network. Run `fieldgraph db fetch` with network access." in ran.stderr
    assert "Traceback" not in ran.stderr


def test_configuration_is_loopback_only_and_tells_nobody(own: Settings) -> None:
    lines = conf.render(own.model_copy(update={"neo4j_page_cache": "96m"})).splitlines()
    values = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    addresses = [value for key, value in values.items() if key.endswith("address")]
    assert addresses
    assert all(value.split(":")[0] == "127.0.0.1" for value in addresses)
    assert values["server.bolt.listen_address"] == f"127.0.0.1:{own.bolt_port}"
    assert values["server.memory.pagecache.size"] == "96m"
    assert values["dbms.usage_report.enabled"] == values["server.fleet_discovery.enabled"] == "false"
    assert values["dbms.security.auth_enabled"] == "true"


def test_server_ends_with_a_killed_test_process(tmp_path: Path) -> None:
    # what guards the session's own server: the guard sees the end of the pipe, not the end of pytest
    home = tmp_path / "home"
    home.mkdir()
    guard = [sys.executable, "-m", "tests.server_guard", str(home)]
    starter = (
        f"import subprocess, time; p = subprocess.Popen({guard!r}, stdin=-1); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        parent.kill()
    deadline = time.monotonic() + 20
    while home.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not home.exists()
