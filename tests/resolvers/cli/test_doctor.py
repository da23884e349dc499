"""The doctor tells a whole installation from one that a stranger has got into."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graph.settings import Settings
from resolvers.cli.doctor import variables

pytestmark = pytest.mark.db
FIELDGRAPH = str(Path(sys.executable).with_name("fieldgraph"))


def doctor(environment: dict[str, str]) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code and checks by name."""
    ran = subprocess.run([FIELDGRAPH, "doctor", "--json"], env=environment, capture_output=True, text=True, check=False)
    return ran.returncode, {check["name"]: check for check in json.loads(ran.stdout)["checks"]}


@pytest.mark.usefixtures("gateway")
def test_whole_installation(environment: dict[str, str]) -> None:
    code, checks = doctor(environment)
    assert (code, [name for name, check in checks.items() if not check["ok"]]) == (0, [])
    assert "migrations current" in checks["server"]["found"]
    assert checks["schema/"]["found"] == str(Path(__file__).parents[3] / "schema")


def test_a_stranger_is_found(environment: dict[str, str], tmp_path: Path) -> None:
    # another project's `schema`, which an unlucky environment puts before ours
    (tmp_path / "schema.py").write_text("")
    code, checks = doctor(environment | {"PYTHONPATH": str(tmp_path)})
    assert code == 1
    assert not checks["schema/"]["ok"]
    assert str(tmp_path / "schema.py") in checks["schema/"]["found"]
    assert checks["graph/"]["ok"]


def test_a_store_that_cannot_be_written_and_broken_jars(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file, not a directory")
    bad = {"FIELDGRAPH_STORE": str(tmp_path / "store"), "FIELDGRAPH_CACHE": str(tmp_path / "cache")}
    own = {name: value for name, value in environment.items() if not name.startswith("NEO4J_")}
    code, checks = doctor(own | bad | {"FIELDGRAPH_HOME": str(tmp_path / "home")})
    assert code == 1
    assert {name for name, check in checks.items() if not check["ok"]} == {"store", "jars", "web jars"}
    assert "Run `fieldgraph db fetch`" in checks["jars"]["found"]
    assert "not running" in checks["server"]["found"]


def test_settings_are_told_and_secrets_are_not(tmp_path: Path) -> None:
    told = variables(Settings(home=tmp_path, NEO4J_URI="neo4j://elsewhere", NEO4J_PASSWORD="hush"))
    assert told["NEO4J_URI"] == "neo4j://elsewhere"
    assert told["FIELDGRAPH_HOME"] == str(tmp_path)
    assert "hush" not in str(told)
