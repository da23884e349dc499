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


_NEWEST_SEQUENCE: LiteralString = """
MATCH (s:Sequence {domain: $domain}) WHERE s.uid > ''
RETURN s.uid AS uid ORDER BY s.created_at DESC, s.uid LIMIT 1
"""
