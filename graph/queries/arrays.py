"""Where an array lies, by the hash of its bytes or by the snapshot that it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString

from graph.errors import NotFound
from graph.gateway import Gateway


@dataclass(frozen=True, slots=True)
class Picture:
    """What an image of a snapshot needs: where its array lies, and the range of its values."""

    uri: str
    sha256: str
    minimum: float
    maximum: float


async def uri_of(gateway: Gateway, sha256: str) -> str | None:
    """The uri of a field, its context or its spread with this hash; None where the graph knows none."""
    rows = await gateway.read(_URI, sha256=sha256)
    return rows[0]["uri"] if rows else None


async def picture(gateway: Gateway, snapshot: str) -> Picture:
    """What an image of this snapshot needs; raises NotFound."""
    rows = await gateway.read(_PICTURE, uid=snapshot)
    if not rows:
        raise NotFound("EnergySnapshot", snapshot)
    return Picture(**rows[0])


_URI: LiteralString = """
CALL () {
  MATCH (e:EnergySnapshot {sha256: $sha256}) RETURN e.uri AS uri LIMIT 1
  UNION ALL
  MATCH (e:EnergySnapshot {context_sha256: $sha256}) RETURN e.context_uri AS uri LIMIT 1
  UNION ALL
  MATCH (e:Predicted {spread_sha256: $sha256}) RETURN e.spread_uri AS uri LIMIT 1
}
RETURN uri LIMIT 1
"""

_PICTURE: LiteralString = """
MATCH (e:EnergySnapshot {uid: $uid})
RETURN e.uri AS uri, e.sha256 AS sha256, e.minimum AS minimum, e.maximum AS maximum LIMIT 1
"""
