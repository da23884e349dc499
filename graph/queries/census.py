"""How much the graph holds: counted from Neo4j's own count store, whatever its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from graph.gateway import Gateway

CENSUS: LiteralString = """
CYPHER 25
RETURN COUNT { (:Sequence) } AS sequences,
       COUNT { (:EnergySnapshot) } AS snapshots,
       COUNT { (:Predicted) } AS predicted,
       COUNT { (:Run) } AS runs,
       COUNT { (:Checkpoint) } AS checkpoints,
       COUNT { (:Prediction) } AS predictions,
       COUNT { ()-[:NEXT]->() } AS next_links,
       COUNT { ()-[:EVOLVES_TO]->() } AS evolves_to_links,
       COUNT { ()-[:ESTIMATES]->() } AS estimates_links
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """Numbers of nodes by label and of links by type."""

    sequences: int
    snapshots: int
    predicted: int
    runs: int
    checkpoints: int
    predictions: int
    next_links: int
    evolves_to_links: int
    estimates_links: int


async def census(gateway: Gateway) -> Census:
    """Count what the graph holds."""
    (row,) = await gateway.read(CENSUS)
    return Census(**row)
