"""The administration tool gets its arguments as they are, and nobody else sees them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from graph.embedded import java
from graph.embedded.conf import Layout
from graph.settings import Settings


def test_arguments_reach_java_but_not_the_list_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, run = '-a "b" \\c #d', subprocess.run
    commands: list[list[str]] = []
    answers: list[bytes] = []

    def recorded(command: list[str], **options: Any) -> Any:
        commands.append(command)
        assert Path(command[1].removeprefix("@")).stat().st_mode & 0o077 == 0
        ran = run(command, **options)
        answers.append(ran.stderr)
        return ran

    monkeypatch.setattr(subprocess, "run", recorded)
    # in the place of the tool's class: Java says the properties that it was given
    monkeypatch.setattr(java, "ADMIN", "-XshowSettings:properties")
    java.admin(Layout.of(Settings(_env_file=None, home=tmp_path)), (), f"-Dgiven={secret}", "-version")
    assert f"given = {secret}\n".encode() in answers[0]
    assert not any("#d" in argument for argument in commands[0])
    assert not Path(commands[0][1].removeprefix("@")).exists()
