"""Failpoints: nothing happens unless armed, and then one process ends there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nvp.failpoints import VARIABLE, arm, armed, reach

REACHING = "from nvp.failpoints import reach; reach('writing'); reach('renamed'); print('alive')"


def _run(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, VARIABLE: str(folder)}
    return subprocess.run([sys.executable, "-c", REACHING], env=environment, capture_output=True, text=True)


def test_nothing_happens_where_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    reach("leased")


def test_one_process_ends_there(tmp_path: Path) -> None:
    arm(tmp_path / "points", "renamed")
    arm(tmp_path / "points", "committed")
    first, second = _run(tmp_path / "points"), _run(tmp_path / "points")
    assert (first.returncode, first.stdout) == (-signal.SIGKILL, "")
    assert (second.returncode, second.stdout) == (0, "alive\n")
    assert not armed(tmp_path / "points", "renamed")
    assert armed(tmp_path / "points", "committed")  # nobody came there
