"""What commands say of tasks in parallel: how many at once, and what a Dask worker must have for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from resolvers.parallel.pool import MAX_TASKS

ParallelOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MAX_TASKS,
        help="So many pieces at once, on Dask: FIELDGRAPH_SCHEDULER, else processes of this machine. Default: none.",
        show_default=False,
    ),
]
ResourceOption = Annotated[
    list[str] | None,
    typer.Option(help="What a Dask worker must have for a piece, as NAME=AMOUNT (GPU=1); may be repeated."),
]


def resources_of(texts: Sequence[str] | None) -> dict[str, float]:
    """`["GPU=1"]` as amounts by name."""
    found = {}
    for text in texts or ():
        name, _, amount = text.partition("=")
        try:
            found[name] = float(amount)
        except ValueError:
            name = ""
        if not name:
            raise typer.BadParameter(f"expected NAME=AMOUNT, such as GPU=1, got {text!r}.")
    return found
