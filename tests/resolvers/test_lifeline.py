"""A process that asked for it ends with its parent, even where the parent is killed."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

CHILD = "import os, sys, time; from resolvers.lifeline import die_with_parent; die_with_parent(int(sys.argv[1])); \
print('alive', flush=True); time.sleep(60)"
PARENT = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', {CHILD!r}, str(os.getpid())], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_child_dies_with_its_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        deadline = time.monotonic() + 10
        while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "the child outlived its parent"
            time.sleep(0.02)


def test_an_orphan_does_not_begin() -> None:
    # our parent is not process 1 here, so that the child finds another parent than it was told
    ended = subprocess.run([sys.executable, "-c", CHILD, "1"], capture_output=True, timeout=30, check=False)
    assert ended.returncode == -9
    assert ended.stdout == b""
