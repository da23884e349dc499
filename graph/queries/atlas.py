"""Atlas: all frames of a sequence with what a map's metadata say of them, for those who read whole sequences."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from graph.gateway import Gateway
from graph.queries.rows import native

PAGE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRow:
    """A frame's place, array and statistics."""

    t_index: int
    t: float
    valid_time: datetime | None
    sha256: str
    uri: str
    height: int
    width: int
    total_energy: float
    mean: float
    variance: float
    entropy: float | None
    regime: str | None
    source_total: float | None


async def maps(gateway: Gateway, sequence_uid: str) -> AsyncIterator[MapRow]:
    """The sequence's frames in order of time, read in pages."""
    after = -(2**62)
    while True:
        rows = await gateway.read(_MAPS, sequence=sequence_uid, after=after, limit=PAGE)
        for row in rows:
            found = MapRow(**native(row["frame"]))
            after = found.t_index
            yield found
        if len(rows) < PAGE:
            return


_MAPS: LiteralString = """
MATCH (e:EnergySnapshot) WHERE e.sequence = $sequence AND e.t_index > $after
RETURN e {.t_index, .t, .valid_time, .sha256, .uri, .height, .width, .total_energy, .mean, .variance, .entropy,
  .regime, .source_total} AS frame
ORDER BY e.t_index LIMIT $limit
"""
