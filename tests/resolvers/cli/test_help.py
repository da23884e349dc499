"""What `fieldgraph` says of itself: all commands at once, each with an example."""

from __future__ import annotations

import subprocess
import sys

import pytest

from resolvers.cli import COMMANDS, commands

LIST = """
import sys
from resolvers.cli import commands
try:
    commands(["--help"])
finally:
    print(*(name for name in sys.modules if name.startswith("resolvers.cli.")), file=sys.stderr)
"""


def test_the_list_of_commands_imports_none_of_them() -> None:
    ran = subprocess.run([sys.executable, "-c", LIST], capture_output=True, text=True, check=True)
    assert ran.stderr.split() == []
    width = max(map(len, COMMANDS)) + 2
    for name, line in COMMANDS.items():
        assert f"  {name:{width}}{line}\n" in ran.stdout


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("runs", "db", "bench")])
def test_each_command_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        commands([name, "--help"])
    assert left.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Example: " in said
    assert f"fieldgraph {name} " in said


def test_a_command_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        commands(["trian"])
    assert left.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1] == "Error: No such command 'trian'."
