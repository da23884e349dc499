"""A real Neo4j Community as a process of its own, shared by all commands of one home and outliving each of them.

Start and stop hold a file lock, so that of two starters the second finds the first one's server. What runs is told by a
state file *and* the process's command line: a state file left by a crash, or a number that meanwhile belongs to another
process, is recognised as stale. Ready means that Bolt shakes hands and the Browser's port is open.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from filelock import FileLock
from pydantic import SecretStr

from graph.embedded import conf, jars, java
from graph.embedded.conf import HOST, Layout
from graph.embedded.progress import download_bar
from graph.errors import GraphError, Outage
from graph.settings import Settings

START_SECONDS = 180.0  # a start takes seven seconds; a loaded machine gets more
STOP_SECONDS = 60.0
EXEC_SECONDS = 5.0
# Bolt's magic number and the versions we offer, of which the server picks one
HANDSHAKE = bytes.fromhex("6060b017") + bytes.fromhex("00080805 00000004 00000000 00000000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running server, as its state file tells it."""

    pid: int
    bolt_port: int
    http_port: int
    version: str  # of Neo4j

    @property
    def uri(self) -> str:
        return f"bolt://{HOST}:{self.bolt_port}"

    @property
    def browser(self) -> str:
        return f"http://{HOST}:{self.http_port}/browser/?dbms=neo4j://neo4j@{HOST}:{self.bolt_port}"


def start(
    settings: Settings, *, progress: Callable[[int], AbstractContextManager[jars.Arrived | None]] = download_bar
) -> Running:
    """Start the server or find it running; returns once Bolt answers.

    Raises:
        Outage: JARS_MISSING, JAR_CORRUPTED, OFFLINE, PORT_IN_USE or NEO4J_START_FAILED.
    """
    layout = Layout.of(settings)
    layout.root.mkdir(parents=True, exist_ok=True)
    with FileLock(layout.lock):
        if running := find(settings):
            _wait_until_ready(running, layout)
            return running
        for port, name in ((settings.bolt_port, "FIELDGRAPH_BOLT_PORT"), (settings.http_port, "FIELDGRAPH_HTTP_PORT")):
            _require_free(port, name)
        classpath = jars.ensure(settings.cache, progress=progress)
        conf.write(settings, layout)
        if not (layout.data / "databases").exists():
            _set_first_password(settings, layout, classpath)
        flags = settings.neo4j_jvm.split()
        running = Running(
            pid=_spawn(java.server_command(layout, classpath, heap=settings.neo4j_heap, flags=flags), layout.console),
            bolt_port=settings.bolt_port,
            http_port=settings.http_port,
            version=jars.NEO4J_VERSION,
        )
        _write_state(layout.state, running)
        try:
            _wait_until_ready(running, layout)
        except BaseException:
            _terminate(running.pid)
            layout.state.unlink(missing_ok=True)
            raise
        return running


def stop(settings: Settings) -> bool:
    """Stop the server in good order; False if none was running."""
    layout = Layout.of(settings)
    if not layout.root.is_dir():
        return False
    with FileLock(layout.lock):
        running = find(settings)
        if running:
            _terminate(running.pid)
        layout.state.unlink(missing_ok=True)
        return running is not None


def find(settings: Settings) -> Running | None:
    """The running server of this home, or None."""
    layout = Layout.of(settings)
    try:
        running = Running(**json.loads(layout.state.read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return running if _is_ours(running.pid, layout) else None


def answers(running: Running) -> bool:
    """Whether Bolt shakes hands and the Browser's port is open, which comes a moment later."""
    try:
        with socket.create_connection((HOST, running.bolt_port), timeout=2) as connection:
            connection.sendall(HANDSHAKE)
            if len(connection.recv(4)) != 4:
                return False
        with socket.create_connection((HOST, running.http_port), timeout=2):
            return True
    except OSError:
        return False


def password(settings: Settings) -> SecretStr:
    """The password given in the settings, else the generated one.

    Raises:
        GraphError: code NEO4J_PASSWORD_LOST, where the server has data and neither is there.
    """
    if settings.neo4j_password:
        return settings.neo4j_password
    path = Layout.of(settings).password
    try:
        return SecretStr(path.read_text("utf-8").strip())
    except FileNotFoundError:
        raise GraphError(
            "NEO4J_PASSWORD_LOST",
            f"expected the embedded server's password in {path}, found no file.",
            next_step="Set NEO4J_PASSWORD.",
        ) from None


def _set_first_password(settings: Settings, layout: Layout, classpath: tuple[Path, ...]) -> None:
    """Give the server its first password; Neo4j accepts it only before its first start."""
    given = settings.neo4j_password.get_secret_value() if settings.neo4j_password else secrets.token_urlsafe(24)
    layout.password.unlink(missing_ok=True)
    with os.fdopen(os.open(layout.password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(given)
    # after "--" a password may begin with a dash
    java.admin(layout, classpath, "dbms", "set-initial-password", "--", given)


def _spawn(command: list[str], console: Path) -> int:
    """Start a process in a session of its own, so that no terminal and no starter takes it along; returns its pid."""
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    return os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(console), write, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def _write_state(path: Path, running: Running) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(running)), "utf-8")
    partial.replace(path)


def _is_ours(pid: int, layout: Layout) -> bool:
    """Whether this process lives and is the server of this home."""
    deadline = time.monotonic() + EXEC_SECONDS
    try:
        while _lives(pid):
            if command := psutil.Process(pid).cmdline():
                return f"--home-dir={layout.root}" in command
            # posix_spawn returns while the kernel still loads the program: until then it shows no command line
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
    except psutil.Error:
        pass
    return False


def _lives(pid: int) -> bool:
    """Whether this process runs; one that has ended, but that its parent has not buried yet, does not."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # buries it if it is a child of ours
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _require_free(port: int, setting: str) -> None:
    with socket.socket() as probe:
        # as the server itself will: a port whose last connections are still in TIME_WAIT is free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise Outage(
                "PORT_IN_USE",
                f"port {port} is held by {_holder(port)}.",
                next_step=f"Stop that program or set {setting} to a free port.",
            ) from None


def _holder(port: int) -> str:
    """The program that listens on this port, as far as the system tells us."""
    with contextlib.suppress(psutil.Error, StopIteration):
        found = next(c for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port and c.pid)
        return f"process {found.pid} ({psutil.Process(found.pid).name()})"
    return "another program"


def _wait_until_ready(running: Running, layout: Layout) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(running):
        if not _is_ours(running.pid, layout):
            raise Outage(
                "NEO4J_START_FAILED",
                f"Neo4j ended while starting: {_last_complaint(layout)}",
                next_step=f"See {layout.log} and {layout.console}.",
            )
        if time.monotonic() > deadline:
            raise Outage(
                "NEO4J_START_FAILED",
                f"Neo4j did not answer at {running.uri} within {START_SECONDS:.0f} s.",
                next_step=f"See {layout.log}, then try `fieldgraph db stop` and `fieldgraph db start`.",
            )
        time.sleep(0.1)


def _last_complaint(layout: Layout) -> str:
    """The last error that Neo4j or Java wrote."""
    for path in (layout.log, layout.console):
        if path.exists():
            lines = path.read_text("utf-8", "replace").splitlines()
            found = [line for line in lines if "ERROR" in line or "Error" in line]
            if found:
                return found[-1][:300]
    return "it left no error."


def _terminate(pid: int) -> None:
    """SIGTERM, and SIGKILL for one that does not listen."""
    for sign, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not _lives(pid):
                return
            time.sleep(0.05)
