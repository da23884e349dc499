"""Progress bars of work in several steps, one below the other."""

from __future__ import annotations

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from resolvers.cli.output import console


class Bars:
    """A progress bar for each step, on stderr."""

    def __init__(self) -> None:
        columns = TextColumn("{task.fields[name]:9}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
        self._progress = Progress(*columns, TextColumn("{task.description}"), console=console)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, name: str, done: float, message: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task("", name=name, total=1.0)
        self._progress.update(self._tasks[name], completed=done, description=message)
