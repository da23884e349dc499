"""Retention: which checkpoints of a training stay on disk. No JAX here."""

from __future__ import annotations

import shutil
from pathlib import Path


def prune(directory: Path, keep: int) -> None:
    """Remove all checkpoints of a training but the best and the last `keep` that were it before.

    For whoever knows that nothing else refers to them.
    """
    for old in sorted(directory.glob("best-*"))[: -(keep + 1)]:
        shutil.rmtree(old, ignore_errors=True)
