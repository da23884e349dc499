"""The cache of compiled programs on disk: a process that predicts what another one compiled starts warm.

    <root>/xla/<jaxlib>-<machine>/     one folder per compiler and kind of processor, each of bounded size

A program compiled for one processor may not run on another, and one version's programs mean nothing to the next, so
neither ever sees the other's. Least recently used programs go first; folders that nobody has used for a month are
removed whole. Settings go by the environment, since JAX reads them when it is imported; no JAX here.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

LARGEST_BYTES = 1 << 30
STALE_SECONDS = 30 * 86_400.0
_MARK = "used"


def environment(root: Path) -> dict[str, str]:
    """Variables for a process that will import JAX; makes the folder and removes stale ones beside it."""
    place = root / "xla" / f"{version('jaxlib')}-{_machine()}"
    with suppress(OSError):  # a cache that cannot be written is none, and JAX does without
        place.mkdir(parents=True, exist_ok=True)
        (place / _MARK).touch()
        _sweep(place)
    return {
        "JAX_COMPILATION_CACHE_DIR": str(place),
        "JAX_COMPILATION_CACHE_MAX_SIZE": str(LARGEST_BYTES),
        # what compiles fast is compiled often
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def use(root: Path) -> None:
    """The same for this process, before it imports JAX; what the user has set stays."""
    for name, value in environment(root).items():
        os.environ.setdefault(name, value)


def _sweep(kept: Path) -> None:
    """Remove the folders of other versions that have not been used for long."""
    oldest = time.time() - STALE_SECONDS
    for place in kept.parent.iterdir():
        if place == kept or not place.is_dir():
            continue
        mark = place / _MARK
        if (mark if mark.exists() else place).stat().st_mtime < oldest:
            shutil.rmtree(place, ignore_errors=True)


def _machine() -> str:
    """Eight digits for what the processor can do; accelerators are told apart by JAX itself."""
    said = [platform.machine(), platform.system()]
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
        said += sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))})
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:8]
