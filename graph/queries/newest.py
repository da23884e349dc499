"""The newest of something, for people who mean what they made last."""

from __future__ import annotations

from typing import LiteralString

from graph.errors import NotFound
from graph.gateway import Gateway


async def newest_sequence(gateway: Gateway, domain: str) -> str:
    """Uid of the sequence of this domain that came last into the graph; raises NotFound where there is none."""
    rows = await gateway.read(_NEWEST_SEQUENCE, domain=domain)
    if not rows:
        raise NotFound("Sequence of domain", domain, next_step="Ingest or generate one first.")
    return str(rows[0]["uid"])


async def newest_checkpoint(gateway: Gateway, domain: str, architecture: str | None = None) -> str:
    """Uid of the best checkpoint of the domain's newest model (of this architecture); raises NotFound."""
    rows = await gateway.read(_NEWEST_CHECKPOINT, domain=domain, architecture=architecture)
    if not rows:
        kind = "Checkpoint" if architecture is None else f"{architecture} Checkpoint"
        raise NotFound(f"{kind} of domain", domain, by="name", next_step="Train a model of it first.")
    return str(rows[0]["uid"])


_NEWEST_SEQUENCE: LiteralString = """
MATCH (s:Sequence {domain: $domain}) WHERE s.uid > ''
RETURN s.uid AS uid ORDER BY s.created_at DESC, s.uid LIMIT 1
"""

_NEWEST_CHECKPOINT: LiteralString = """
MATCH (m:Model {domain: $domain})
WHERE m.uid > '' AND m.best_checkpoint IS NOT NULL AND ($architecture IS NULL OR m.architecture = $architecture)
WITH m.best_checkpoint AS best, m.created_at AS created_at ORDER BY created_at DESC LIMIT 1000
MATCH (c:Checkpoint {uid: best}) WHERE c.removed_at IS NULL
RETURN c.uid AS uid ORDER BY created_at DESC, uid LIMIT 1
"""
