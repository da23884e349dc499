"""Processes that end with the one that started them, however that one ends (prctl(2), PR_SET_PDEATHSIG)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent `parent` (a process id) is gone; call it first thing.

    Linux only; elsewhere a child relies on the end of its input.
    """
    _on_death_of(parent, signal.SIGKILL)


def end_with_parent(parent: int) -> None:
    """The same by SIGTERM, for a process that has something to put in order."""
    _on_death_of(parent, signal.SIGTERM)


def _on_death_of(parent: int, number: signal.Signals) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it was gone before we asked
        os.kill(os.getpid(), number)
