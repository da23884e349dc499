"""Forecasters by the directory of their checkpoint: loaded once per process, and sent to others with their files.

Pickled, a `StoredForecaster` takes the files along: whoever is given it needs neither the store nor its path. No JAX
before a network is loaded.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nvp.prediction.forecaster import Forecaster, load_forecaster

LOADED = 8  # checkpoints in memory; the largest network takes 35 MB


class StoredForecaster:
    """A checkpoint that is loaded when it is wanted; `sha256` is that of its parameters."""

    def __init__(self, directory: Path, sha256: str) -> None:
        self.directory = directory
        self.sha256 = sha256

    def load(self) -> Forecaster:
        """The forecaster, from memory where it was used lately.

        Raises FieldError where its files are missing or damaged.
        """
        return _loaded(self.directory, self.sha256)

    def __reduce__(self) -> tuple[Any, ...]:
        paths = sorted(path for path in self.directory.rglob("*") if path.is_file())
        files = {path.relative_to(self.directory).as_posix(): path.read_bytes() for path in paths}
        return _Carried, (files,)


class _Carried(StoredForecaster):
    """One that came with its files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        with TemporaryDirectory(prefix="fieldgraph-checkpoint-") as place:
            for name, content in files.items():
                path = Path(place) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._forecaster = load_forecaster(Path(place))

    def load(self) -> Forecaster:
        return self._forecaster


@lru_cache(maxsize=LOADED)
def _loaded(directory: Path, sha256: str) -> Forecaster:
    """`sha256` is that of the parameters: a directory that was trained anew is loaded anew."""
    return load_forecaster(directory)
