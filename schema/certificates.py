"""Certificates: what was attested of a finished run."""

from __future__ import annotations

from datetime import datetime

import strawberry


@strawberry.type(description="What a finished run took in, left and spent, signed; one per run, in one chain.")
class Certificate:
    uid: strawberry.ID
    number: int = strawberry.field(description="Its place in the chain, from 1.")
    digest: str = strawberry.field(description="SHA-256 of the statement.")
    previous_digest: str = strawberry.field(description="That of the certificate before; 64 zeros before the first.")
    signature: str = strawberry.field(description="Ed25519 over the statement, in hexadecimal.")
    public_key: str
    statement: str = strawberry.field(description="All that is attested, as the canonical JSON that is signed.")
    energy_joules: float
    energy_source: str
    issued_at: datetime
