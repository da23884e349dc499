"""Stops the tests' Neo4j and removes its home when the test process is gone, however it went.

Its standard input is a pipe that only the test process holds open: the end of the file is the end of that process.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from graph.embedded import server
from graph.settings import Settings

if __name__ == "__main__":
    home = Path(sys.argv[1])
    sys.stdin.read()
    server.stop(Settings(home=home))
    shutil.rmtree(home, ignore_errors=True)
