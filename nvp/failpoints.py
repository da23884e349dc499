"""Failpoints: places at which a process ends itself, so that what a crash there leaves behind can be tried out.

`FIELDGRAPH_FAILPOINTS` names a folder; a file in it with the name of a failpoint arms it. Who comes there first takes
the file away and ends by SIGKILL, as a process does that runs out of memory: nothing is closed, nothing is told. Where
the variable is not set, which is everywhere but in a test or `fieldgraph bench faults`, nothing happens.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Literal

VARIABLE = "FIELDGRAPH_FAILPOINTS"
Failpoint = Literal["leased", "compiling", "writing", "renamed", "committed"]
"""After a claim; in front of a compilation; in a checkpoint's files; between the files' last name and their node;
between the last node of a run and the run's end."""


def reach(name: Failpoint) -> None:
    """End here and now if this failpoint is armed."""
    folder = os.environ.get(VARIABLE)
    if folder is None:
        return
    try:
        (Path(folder) / name).unlink()  # one process gets it
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def arm(folder: Path, name: Failpoint) -> None:
    """Have the next process that comes there end."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()


def armed(folder: Path, name: Failpoint) -> bool:
    """Whether nobody has come there yet."""
    return (folder / name).exists()
