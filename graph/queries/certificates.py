"""Certificates: one per run, in one chain.

    (Run)-[:CERTIFIED_BY]->(Certificate {number, digest, previous_digest})-[:FOLLOWS]->(Certificate)

That the chain has no forks is a constraint (`previous_digest` is unique): of two that were made to follow the same
certificate, one is refused and has to be made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, LiteralString

from graph.errors import Conflict, NotFound
from graph.gateway import Gateway
from graph.queries.rows import native

BEFORE_ALL = "0" * 64
"""`previous_digest` of the first certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCertificate:
    """A certificate to be written."""

    uid: str
    run: str
    kind: str
    number: int
    digest: str
    previous_digest: str
    signature: str
    public_key: str
    canonical_json: str
    energy_joules: float
    energy_source: str
    issued_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRow(NewCertificate):
    """A certificate as it was when it was read."""

    # what the graph links it to
    certifies: str | None
    follows: str | None


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain ends, and what time it is by Neo4j's clock."""

    number: int
    digest: str
    now: datetime


async def head(gateway: Gateway) -> Head:
    """The end of the chain; number 0 and 64 zeros where there is none."""
    row = native((await gateway.read(_HEAD, before_all=BEFORE_ALL))[0])
    return Head(**row)


async def add(gateway: Gateway, certificate: NewCertificate) -> bool:
    """Write it at the end of the chain; False where the chain or the run has another there by now.

    Raises NotFound where the run is not there, or has not succeeded.
    """
    try:
        rows = await gateway.write(_ADD, **asdict(certificate), before_all=BEFORE_ALL)
    except Conflict:
        return False
    if not rows:
        raise NotFound("succeeded Run", certificate.run, next_step="Only a run that succeeded can be certified.")
    return bool(rows[0]["added"])


async def of_run(gateway: Gateway, run: str) -> CertificateRow | None:
    """The run's certificate, if it has one."""
    rows = await gateway.read(_OF_RUN, run=run)
    return _certificate(rows[0]) if rows else None


async def due(gateway: Gateway, *, limit: int = 100) -> list[str]:
    """Experiments that have succeeded and were found worth a certificate when they retired, undecided as yet."""
    return [row["uid"] for row in await gateway.read(_DUE, limit=limit)]


async def refuse(gateway: Gateway, run: str, code: str, message: str) -> None:
    """Write on a run why it gets no certificate: it is not `due` any more."""
    await gateway.write(_REFUSE, run=run, code=code, message=message)


async def chain(gateway: Gateway, *, after: int = 0, limit: int = 100) -> list[CertificateRow]:
    """Certificates whose number is beyond `after`, in order."""
    return [_certificate(row) for row in await gateway.read(_CHAIN, after=after, limit=limit)]


def _certificate(row: Mapping[str, Any]) -> CertificateRow:
    return CertificateRow(**native(row["certificate"]))


_HEAD: LiteralString = """
OPTIONAL MATCH (c:Certificate) WHERE c.number >= 1
WITH c ORDER BY c.number DESC LIMIT 1
RETURN coalesce(c.number, 0) AS number, coalesce(c.digest, $before_all) AS digest, datetime() AS now
"""

_ADD: LiteralString = """
MATCH (r:Run {uid: $run}) WHERE r.state = 'SUCCEEDED'
OPTIONAL MATCH (before:Certificate {digest: $previous_digest})
CALL (r, before) {
  WITH r, before
  WHERE (before.number + 1 = $number) OR ($number = 1 AND $previous_digest = $before_all)
  CREATE (c:Certificate {uid: $uid, run: $run, kind: $kind, number: $number, digest: $digest,
    previous_digest: $previous_digest, signature: $signature, public_key: $public_key,
    canonical_json: $canonical_json, energy_joules: $energy_joules, energy_source: $energy_source,
    issued_at: $issued_at})
  CREATE (r)-[:CERTIFIED_BY]->(c)
  FOREACH (link IN CASE WHEN before IS NULL THEN [] ELSE [before] END | CREATE (c)-[:FOLLOWS]->(link))
  RETURN count(c) > 0 AS added
}
RETURN added
"""

_CERTIFICATE_ROW: LiteralString = """
RETURN c {.uid, .run, .kind, .number, .digest, .previous_digest, .signature, .public_key, .canonical_json,
  .energy_joules, .energy_source, .issued_at,
  certifies: COLLECT { MATCH (c)<-[:CERTIFIED_BY]-(r:Run) RETURN r.uid LIMIT 1 }[0],
  follows: COLLECT { MATCH (c)-[:FOLLOWS]->(b:Certificate) RETURN b.digest LIMIT 1 }[0]} AS certificate
"""

_OF_RUN: LiteralString = "MATCH (c:Certificate {run: $run})" + _CERTIFICATE_ROW + "LIMIT 1"

_DUE: LiteralString = """
MATCH (r:Run {kind: 'ace', state: 'SUCCEEDED'}) USING INDEX SEEK r:Run(kind, state, finished_at)
WHERE r.finished_at IS NOT NULL AND r.refused_at IS NULL
MATCH (s:Stage) WHERE s.run = r.uid AND s.round >= 1 AND s.position = 8
  AND s.outputs_json CONTAINS '"due":true' AND NOT EXISTS { (r)-[:CERTIFIED_BY]->(:Certificate) }
RETURN r.uid AS uid ORDER BY uid LIMIT $limit
"""

_REFUSE: LiteralString = """
MATCH (r:Run {uid: $run})
SET r.refused_at = datetime(), r.refused_code = $code, r.refused_message = $message
"""

_CHAIN: LiteralString = (
    "MATCH (c:Certificate) WHERE c.number > $after WITH c ORDER BY c.number LIMIT $limit"
    + _CERTIFICATE_ROW
    + "ORDER BY c.number LIMIT $limit"
)
