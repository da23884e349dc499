"""`fieldgraph worker`: one worker, on any machine with the same NEO4J_URI and store."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from graph.settings import Settings
from resolvers.cli.output import console, run
from resolvers.worker import work


class Capability(StrEnum):
    """Which runs the worker takes."""

    BATCH = "batch"
    INTERACTIVE = "interactive"
    ORCHESTRATION = "orchestration"


def command(
    capability: Annotated[
        Capability,
        typer.Option(
            help="batch: training, generation, evaluation; interactive: prediction, relaxation; orchestration: ace."
        ),
    ] = Capability.BATCH,
) -> None:
    """Start one worker; it works until Ctrl-C or SIGTERM and then hands back what it holds.

    Example: NEO4J_URI=neo4j://graph:7687 FIELDGRAPH_STORE=/mnt/store fieldgraph worker --capability batch
    """
    console.print(f"{capability.value} worker: waiting for runs; Ctrl-C ends it")
    run(work(Settings(), capability.value))
