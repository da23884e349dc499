"""Statements without a graph."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from graph.queries.certificates import BEFORE_ALL
from resolvers.certificates.signing import Signed, public_key, sign
from resolvers.certificates.statement import (
    FORMAT,
    Accounting,
    Budget,
    Cited,
    Laws,
    Metric,
    Stage,
    Statement,
    Tested,
    Vote,
    Work,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
DAY = "2026-11-21T20:00:00.000000+00:00"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def votes(*agree: bool) -> tuple[Vote, ...]:
    """One vote of each member."""
    return tuple(Vote(member=n, parameters_sha256=sha(f"member {n}"), agrees=said) for n, said in enumerate(agree))


def statement(**changes: Any) -> Statement:
    """An ACE run of three members that has all there is."""
    whole = Statement(
        format=FORMAT,
        uid="019aa5f2-7c1e-7b52-9d0e-1f7a4c2b8e11",
        number=1,
        previous_digest=BEFORE_ALL,
        issued_at=DAY,
        public_key=public_key(KEY),
        run=Work(
            uid="019aa5f2-7c1e-7b52-9d0e-1f7a4c2b8e10",
            kind="ace",
            state="SUCCEEDED",
            config_sha256=sha("config"),
            rng_seed="18446744073709551615",
            code_version="0.1.0",
            device=None,
            attempt=1,
            offline=False,
            created_at=DAY,
            started_at=DAY,
            finished_at=DAY,
        ),
        inputs=(Cited(label="Sequence", uid="a", role="sequence", sha256=sha("a")),),
        outputs=(Cited(label="Prediction", uid="b", role="made", sha256=sha("b")),),
        metrics=(Metric(of="b", name="fidelity", definition="1 − √…", value=0.91),),
        laws=Laws(predictions=2, unchecked=0, violations=0),
        accounting=Accounting(
            energy_joules=410.5, energy_source="nvml", seconds=12.0, budget=Budget(amount=500.0, unit="J")
        ),
        hypotheses=(Tested(uid="h", text_sha256=sha("h"), claim_sha256=sha("{}"), verdict="supported", credence=0.9),),
        stages=(Stage(name="plan", energy_joules=1e-9, energy_source="nvml", started_at=DAY, finished_at=None),),
        votes=votes(True, True, False),
    )
    return replace(whole, **changes)


def signed(**changes: Any) -> Signed:
    """The same, signed by KEY."""
    return sign(statement(**changes), KEY)
