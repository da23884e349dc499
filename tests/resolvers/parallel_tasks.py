"""Tasks for Dask workers to do in tests: pure functions, named at the top of a module that workers can import."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from nvp.errors import FieldError


def process(number: int) -> tuple[int, int]:
    """The number, and which process it was given to."""
    return number, os.getpid()


def weighted(field: np.ndarray, number: int) -> float:
    """Something that a shared field is needed for."""
    return float(field.sum() * number)


def waits(number: int, folder: Path, seconds: float = 60.0) -> int:
    """Says that it was begun, then waits, unless it is begun for the second time."""
    begun = folder / f"{number}-{os.getpid()}"
    first = not list(folder.glob(f"{number}-*"))
    begun.touch()
    if first:
        time.sleep(seconds)
    return number


def refuses(number: int) -> int:
    """What a simulator says of settings that it cannot resolve."""
    raise FieldError("UNSTABLE", f"expected a stable flow, got {number}.", next_step="Use a smaller step.")


def dies(number: int) -> int:
    """Takes its worker along, whoever it is."""
    os._exit(number)
