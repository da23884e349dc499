"""`fieldgraph db` speaks of the embedded server only, and in the same way to people and machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from graph.embedded import server
from graph.settings import Settings

FIELDGRAPH = str(Path(sys.executable).with_name("fieldgraph"))


def db(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([FIELDGRAPH, "db", *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.db
@pytest.mark.skipif("NEO4J_URI" in os.environ, reason="the session uses a server that is not embedded")
def test_status_and_start_find_the_running_server(settings: Settings, environment: dict[str, str]) -> None:
    running = server.find(settings)
    assert running is not None
    for command in ("status", "start"):
        ran = db(environment, command, "--json")
        said = json.loads(ran.stdout)
        assert (ran.returncode, said["running"], said["ready"], said["pid"]) == (0, True, True, running.pid)
        assert said["uri"] == f"bolt://127.0.0.1:{settings.bolt_port}"
    # nobody is told the password, only where it is
    text = db(environment, "status").stdout
    assert server.password(settings).get_secret_value() not in text
    assert "password" in text


def test_status_of_a_server_that_is_not_there(tmp_path: Path) -> None:
    ran = db({"PATH": os.environ["PATH"], "FIELDGRAPH_HOME": str(tmp_path / "home")}, "status", "--json")
    assert (ran.returncode, json.loads(ran.stdout)) == (1, {"running": False})
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("command", [["start"], ["stop"], ["status"], ["backup", "x"], ["restore", "x", "--yes"]])
def test_a_server_of_someone_else_is_left_alone(tmp_path: Path, command: list[str]) -> None:
    ran = db({"PATH": os.environ["PATH"], "NEO4J_URI": "neo4j://elsewhere", "HOME": str(tmp_path)}, *command)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "NEO4J_URI names neo4j://elsewhere" in ran.stderr
    assert "unset NEO4J_URI" in ran.stderr
