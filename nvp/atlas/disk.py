"""What is written is on the disk."""

from __future__ import annotations

import os
from pathlib import Path


def flush(path: Path) -> None:
    """To the disk, be it a file or a directory's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
