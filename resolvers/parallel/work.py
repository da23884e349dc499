"""What a Dask worker does: one task at a time, metered, with the versions of whoever asks for it."""

from __future__ import annotations

import pickle
import threading
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from nvp.errors import FieldError
from resolvers.energy.meter import device, meter
from resolvers.energy.spent import Spent
from resolvers.services.version import code_version

# a worker with several threads has one accelerator, and one clock of what its process spends
_ONE = threading.Lock()


@dataclass(frozen=True, slots=True)
class Place:
    """Stands for the n-th shared value in the arguments of a task."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What came of a task."""

    value: Any = None
    # code and message of a FieldError, which is the task's own fault wherever it is done
    refused: tuple[str, str] | None = None
    # versions here, where they are others than those that were expected
    stranger: str | None = None
    spent: Spent | None = None
    device: str | None = None


def versions() -> str:
    """What must be the same wherever tasks of one run are done."""
    return f"fieldgraph {code_version()}, jax {version('jax')}"


def unpacked(packed: bytes) -> Any:
    """A shared value. It travels as bytes, of which the scheduler understands nothing."""
    return pickle.loads(packed)


def work(expected: str, packed: bytes, *shared: Any) -> Worked:
    """Call a function, both packed with its arguments; `expected` are the versions that are asked for."""
    if (ours := versions()) != expected:
        return Worked(stranger=ours)
    function, arguments = pickle.loads(packed)
    known = {name: shared[one.number] if isinstance(one, Place) else one for name, one in arguments.items()}
    with _ONE, meter() as running:
        try:
            value = function(**known)
        except FieldError as error:
            return Worked(refused=(error.code, str(error)))
    return Worked(value=value, spent=running.spent, device=device())
