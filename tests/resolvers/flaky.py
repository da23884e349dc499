"""A process that says when it began and fails at once: `python -m tests.resolvers.flaky FILE PARENT`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

with Path(sys.argv[1]).open("a") as log:
    log.write(f"{time.monotonic()}\n")
sys.exit(7)
