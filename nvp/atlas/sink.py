"""A file for HDF5 to write to that survives a full disk.

HDF5 tries again at closing what it could not write, fails again, and leaves objects behind that crash the process at
its end. So it is told that every write went well; the first error is kept and raised once the file is closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any


class _Sink(FileIO):
    """Drops what is written after the first error."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        try:
            # a disk that is nearly full takes a part first
            while self.error is None and done < len(view):
                done += super().write(view[done:])
        except OSError as error:
            self.error = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


@contextmanager
def sink(path: Path) -> Iterator[_Sink]:
    """A new file at `path`; raises OSError on the way out where something could not be written."""
    with _Sink(path, "w+") as file:
        try:
            yield file
        finally:
            # whatever HDF5 made of the gap: this is why
            if file.error is not None:
                raise file.error
