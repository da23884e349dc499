"""A download of jars as people see it: a bar on stderr with the number of jars and bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from graph.embedded.jars import Arrived, Jar


@contextmanager
def download_bar(total: int) -> Iterator[Arrived]:
    """Yields what to call with each jar that has arrived, of `total`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("Fetching"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("jars, {task.fields[megabytes]:.0f} MB"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=total, megabytes=0.0)

        def arrived(_: Jar, size: int) -> None:
            progress.update(task, advance=1, megabytes=progress.tasks[task].fields["megabytes"] + size / 1e6)

        yield arrived
