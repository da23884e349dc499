"""The graph as the atlas sees it: a port, whose implementation lives with the services that know Neo4j.

Every call raises `ConnectionError` where the graph cannot be had; the loader then goes on without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from nvp.atlas.maps.metadata import EnergyMapMetadata
from nvp.atlas.maps.sequence import Located


@dataclass(frozen=True, slots=True)
class Known:
    """A sequence of the graph."""

    uid: str
    # name of what it came from; that of the folder's sequence where `recorded`
    source: str
    # it was recorded out of a folder atlas
    recorded: bool


@runtime_checkable
class AtlasGraph(Protocol):
    """Snapshots that are not predicted, and the files where their arrays are."""

    def sequences(self, domain: str) -> Sequence[Known]:
        """Sequences of a domain, by uid; none for a domain that the graph does not know."""
        ...

    def frames(self, uid: str) -> Sequence[Located]:
        """All frames of a sequence in order of time."""
        ...

    def record(self, energy: Float32[np.ndarray, "t h w 1"], metadata: Sequence[EnergyMapMetadata]) -> None:
        """Let the graph know frames of consecutive steps; again is nothing, and other values take the place of old."""
        ...
