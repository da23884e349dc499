"""Certificate: what was attested of a finished run; each names the one before it."""

from __future__ import annotations

from neomodel import (
    AsyncOne,
    AsyncRelationshipFrom,
    AsyncRelationshipTo,
    AsyncStructuredNode,
    AsyncZeroOrOne,
    DateTimeNeo4jFormatProperty,
    FloatProperty,
    IntegerProperty,
    StringProperty,
)

from graph.models.run import Run


class Certificate(AsyncStructuredNode):
    """One per run, in one chain: nobody else can have its number or the same certificate before it."""

    uid = StringProperty(required=True, unique_index=True)
    # uid of the run
    run = StringProperty(required=True, unique_index=True)
    kind = StringProperty(required=True)
    # its place in the chain, from 1
    number = IntegerProperty(required=True, unique_index=True)
    # sha256 of canonical_json, and that of the certificate before; 64 zeros before the first
    digest = StringProperty(required=True, unique_index=True)
    previous_digest = StringProperty(required=True, unique_index=True)
    # Ed25519 over canonical_json, in hexadecimal like the key
    signature = StringProperty(required=True)
    public_key = StringProperty(required=True)
    # all that is attested; the rest of this node is also there
    canonical_json = StringProperty(required=True)
    energy_joules = FloatProperty(required=True)
    energy_source = StringProperty(required=True)
    issued_at = DateTimeNeo4jFormatProperty(required=True)

    certifies = AsyncRelationshipFrom(Run, "CERTIFIED_BY", cardinality=AsyncOne)
    follows = AsyncRelationshipTo("Certificate", "FOLLOWS", cardinality=AsyncZeroOrOne)
