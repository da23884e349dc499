"""Processes that end with the one that started them, however that one ends (prctl(2), PR_SET_PDEATHSIG)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to send this process `number` when its parent `parent` (a process id) is gone.

    Call it first thing in a child. Linux only; elsewhere a child relies on the end of its input.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it was gone before we asked
        os.kill(os.getpid(), number)
