"""Names of files being written: they say which process of which host writes, so that its leftovers are known.

A name begins with a mark of the host since its last start, and the writer's process number. Where that process is
gone, nobody will ever finish the file; of other hosts (a store may be shared) only the file's age tells.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import uuid
from contextlib import suppress
from pathlib import Path

_NAME = re.compile(r"([0-9a-f]{12})-([1-9][0-9]*)-[0-9a-f]{32}\..*")


def temporary_name(suffix: str) -> str:
    """A name that nobody else has."""
    return f"{_host()}-{os.getpid()}-{uuid.uuid4().hex}{suffix}"


def is_abandoned(name: str) -> bool:
    """Whether the writer ran on this host and has ended; False where that cannot be told."""
    match = _NAME.fullmatch(name)
    if match is None or match[1] != _host():
        return False
    try:
        os.kill(int(match[2]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # alive, but of another user
        return False
    return False


def _host() -> str:
    """Digest of the host's name, its start and its process numbers: each container counts processes of its own."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii"))
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
