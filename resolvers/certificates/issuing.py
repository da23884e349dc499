"""Issuing: from what the graph knows of a run to its certificate, and back: whether the graph still agrees with each.

A run has one certificate; to ask again gives the same. The chain grows at one end: who finds that another was faster
signs again, behind that one.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from graph.errors import GraphError, NotFound, Outage
from graph.gateway import Gateway
from graph.identity import canonical_json, event_uid
from graph.queries import certificates
from graph.queries.certificates import BEFORE_ALL, CertificateRow, Head, NewCertificate
from graph.queries.provenance import OUTCOME, Provenance, Thing, provenance
from resolvers.certificates.signing import Signed, check, public_key, sign
from resolvers.certificates.statement import (
    FORMAT,
    Accounting,
    Budget,
    Cited,
    Invalid,
    Laws,
    Metric,
    Stage,
    Statement,
    Tested,
    Vote,
    Work,
    missing,
    refusal,
    written,
)
from resolvers.energy.budget import parse
from resolvers.energy.spent import knowledge

ATTEMPTS = 64
PAGE = 100
FIDELITY = "1 − √(Σ‖P − T‖²/Σ‖T − O‖²), O input, T truth, P prediction; persistence scores 0"
VRMSE = "root of the mean squared error over the variance of the truth, as The Well has it"
METRICS = {
    ("Checkpoint", "val_fidelity"): FIDELITY + ", over the validation part",
    ("Evaluation", "fidelity"): FIDELITY + ", over the scored stretches at lead 1",
    ("Evaluation", "vrmse"): VRMSE + ", lead 1",
    ("Evaluation", "n"): "pairs that were scored",
    ("Prediction", "fidelity"): FIDELITY + ", of the pair at lead 1",
    ("Prediction", "vrmse"): VRMSE + ", lead 1",
    ("Prediction", "persistence"): VRMSE + ", of persistence at lead 1",
}
"""Numbers that a certificate carries where an output has them, each with what it means."""


async def issue(gateway: Gateway, uid: str, key: Ed25519PrivateKey) -> tuple[Signed, bool]:
    """The certificate of a run, and whether it is new.

    Raises NotFound, Refused where the run may not have one, Invalid where the one it has was changed.
    """
    for _ in range(ATTEMPTS):
        there = await certificates.of_run(gateway, uid)
        if there is not None:
            return stored(there), False
        known = await provenance(gateway, uid)
        end = await certificates.head(gateway)
        statement = drafted(known, end, public_key(key))
        refused = refusal(statement)
        if refused is not None:
            raise refused
        signed = sign(statement, key)
        if await certificates.add(gateway, _row(signed)):
            return signed, True
    raise Outage(
        "CHAIN_BUSY", "expected to reach the end of the chain, got others there each time.", next_step="Try again."
    )


def drafted(known: Provenance, end: Head, key: str) -> Statement:
    """What would be said of a run behind `end` and signed by the owner of this public `key`.

    Raises Refused where its accounting is not there.
    """
    run = known.run
    if known.cut:
        raise GraphError(
            "TOO_LARGE", f"expected fewer nodes of run {run.uid} than a certificate can cover, got more: {known.cut}."
        )
    joules, source = spent_by(known)
    if run.state == "SUCCEEDED" and (joules is None or source is None):
        raise missing(run.uid, "energy and how it is known")
    # an experiment only waits for others: what they took stands in its stages, whichever attempt worked these
    unknown, whose = (known.unmetered_parts, "its runs'") if run.kind == "ace" else (run.unmetered, "its")
    if unknown:
        raise missing(run.uid, f"the energy of {unknown} of {whose} attempts")
    started, finished = run.started_at or run.created_at, run.finished_at or end.now
    work = Work(
        uid=run.uid,
        kind=run.kind,
        state=run.state,
        config_sha256=hashlib.sha256(canonical_json(run.config)).hexdigest(),
        rng_seed=str(run.rng_seed),
        code_version=run.code_version,
        device=run.device,
        attempt=run.attempt,
        offline=run.offline,
        created_at=_time(run.created_at),
        started_at=_time(started),
        finished_at=_time(finished),
    )
    return Statement(
        format=FORMAT,
        uid=event_uid(),
        number=end.number + 1,
        previous_digest=end.digest,
        issued_at=_time(end.now),
        public_key=key,
        run=work,
        inputs=_cited(known.inputs),
        outputs=_cited(known.outputs),
        metrics=tuple(_metrics(known)),
        laws=_laws(known),
        accounting=Accounting(
            energy_joules=-1.0 if joules is None else joules,
            energy_source=source or "",
            seconds=(finished - started).total_seconds(),
            budget=_budget(known),
        ),
        hypotheses=tuple(
            Tested(
                uid=found["uid"],
                text_sha256=_sha256(found["text"]),
                claim_sha256=hashlib.sha256(canonical_json(found["claim"])).hexdigest(),
                verdict=found["verdict"],
                credence=found["credence"],
            )
            for found in known.hypotheses
        ),
        stages=tuple(
            Stage(
                name=found["name"],
                energy_joules=found["energy_joules"],
                energy_source=found["energy_source"],
                started_at=found["started_at"] and _time(found["started_at"]),
                finished_at=found["finished_at"] and _time(found["finished_at"]),
            )
            for found in known.stages
        ),
        votes=tuple(
            Vote(member=found["member"], parameters_sha256=found["sha256"], agrees=found["agrees"])
            for found in known.votes
        ),
    )


def stored(row: CertificateRow) -> Signed:
    """A certificate of the graph, checked: its signature, and that its node says what its text says."""
    signed = check(row.canonical_json.encode(), digest=row.digest, signature=row.signature)
    expected = _row(signed)
    for name in NewCertificate.__slots__:
        if getattr(row, name) != getattr(expected, name):
            raise Invalid(
                "NODE_CHANGED",
                f"expected certificate {expected.number} to have {name} {getattr(expected, name)!r}, "
                f"got {getattr(row, name)!r}.",
            )
    return signed


@dataclass(frozen=True, slots=True)
class Finding:
    """A certificate that the graph no longer agrees with, and why."""

    number: int
    run: str
    code: str
    message: str


async def audit(gateway: Gateway) -> AsyncIterator[tuple[CertificateRow, list[Finding]]]:
    """Each certificate of the graph in order, with what is wrong with it: text, signature, place, run or its nodes."""
    before: CertificateRow | None = None
    while True:
        page = await certificates.chain(gateway, after=before.number if before else 0, limit=PAGE)
        if not page:
            return
        for row in page:
            found = [_finding(row, error) for error in [error async for error in _errors(gateway, row, before)]]
            yield row, found
            before = row


async def _errors(gateway: Gateway, row: CertificateRow, before: CertificateRow | None) -> AsyncIterator[GraphError]:
    try:
        signed = stored(row)
    except GraphError as error:
        yield error
        return
    number, digest = (before.number, before.digest) if before else (0, BEFORE_ALL)
    linked = row.follows or BEFORE_ALL
    if (row.number, row.previous_digest, linked) != (number + 1, digest, digest):
        yield Invalid("BROKEN_CHAIN", f"expected a certificate behind number {number}, got one behind {linked}.")
    if row.certifies != row.run:
        yield Invalid("BROKEN_LINK", f"expected a link from run {row.run}, got one from {row.certifies}.")
    try:
        known = await provenance(gateway, row.run)
    except NotFound as error:
        yield error
        return
    for what, said, now in (
        ("inputs", signed.statement.inputs, _cited(known.inputs)),
        ("outputs", signed.statement.outputs, _cited(known.outputs)),
    ):
        for cited in sorted(set(said) ^ set(now), key=lambda cited: (cited.label, cited.uid)):
            yield Invalid(
                "CHANGED_SINCE",
                f"expected the {what} of run {row.run} as certified, got a difference in {cited.label} {cited.uid}.",
            )
    for name, certified, found in _changes(signed.statement, known):
        yield Invalid(
            "CHANGED_SINCE", f"expected {name} {certified} of run {row.run} as certified, got {found} in the graph."
        )


def _changes(said: Statement, known: Provenance) -> Iterator[tuple[str, Any, Any]]:
    """What would be said otherwise today: (field, as certified, as it is now)."""
    end = Head(said.number - 1, said.previous_digest, datetime.fromisoformat(said.issued_at))
    try:
        now = drafted(known, end, said.public_key)
    except GraphError as error:
        yield "an account", "that is whole", str(error)
        return
    for part in ("run", "laws", "accounting", "hypotheses", "stages", "votes"):
        before, after = (dict(_leaves(written(one)[part], part)) for one in (said, now))
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                yield name, before.get(name), after.get(name)
    # an output may have got numbers since (its truth came in), and a model a better checkpoint: what was said holds
    things = {thing.uid: thing.properties for thing in known.outputs if thing.role != OUTCOME}
    for metric in said.metrics:
        value = things.get(metric.of, {}).get(metric.name)
        if value != metric.value:
            yield f"{metric.name} of {metric.of}", metric.value, value


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The leaves of a JSON value, each with the way to it: run.rng_seed, votes.0.agrees."""
    if not isinstance(value, Mapping | list):
        yield name, value
        return
    for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from _leaves(inner, f"{name}.{key}")


def _finding(row: CertificateRow, error: GraphError) -> Finding:
    return Finding(row.number, row.run, error.code, str(error))


def _row(signed: Signed) -> NewCertificate:
    statement = signed.statement
    return NewCertificate(
        uid=statement.uid,
        run=statement.run.uid,
        kind=statement.run.kind,
        number=statement.number,
        digest=signed.digest,
        previous_digest=statement.previous_digest,
        signature=signed.signature,
        public_key=statement.public_key,
        canonical_json=signed.text,
        energy_joules=statement.accounting.energy_joules,
        energy_source=statement.accounting.energy_source,
        issued_at=datetime.fromisoformat(statement.issued_at),
    )


def spent_by(known: Provenance) -> tuple[float | None, str | None]:
    """Joules and their source. An experiment works through runs of its own: its stages say what all of it took.

    Of its stages those that were measured count where some were, for measured and estimated joules have no sum.
    """
    if known.run.kind != "ace":
        return known.run.energy_joules, known.run.energy_source
    stages = [(stage["energy_joules"], stage["energy_source"]) for stage in known.stages]
    if not stages or any(joules is None or source is None for joules, source in stages):
        return None, None
    measured = [one for one in stages if knowledge(one[1]) == "measured"]
    counted = measured or stages
    return sum(joules for joules, _ in counted), " + ".join(sorted({source for _, source in counted}))


def _laws(known: Provenance) -> Laws:
    """How its predictions stand to the laws; of an experiment those that its shadow ensemble has accepted."""
    if known.run.kind == "ace":
        said = [stage["outputs"]["laws"] for stage in known.stages if "laws" in (stage.get("outputs") or {})]
        last = said[-1] if said else {"predictions": 0, "violations": 0}
        return Laws(predictions=last["predictions"], unchecked=0, violations=last["violations"])
    counts = [call.violation_count for call in known.calls]
    return Laws(predictions=len(counts), unchecked=counts.count(None), violations=sum(count or 0 for count in counts))


def _budget(known: Provenance) -> Budget | None:
    """What the run was allowed, as it was asked for: 500J, 2kJ or 90s; None where nobody set a limit."""
    asked = known.run.config.get("compute_budget")
    if asked is None:
        return None
    try:
        budget = parse(str(asked))
    except GraphError:
        raise missing(known.run.uid, f"a budget such as 500J or 90s, but {asked!r}") from None
    return Budget(amount=budget.amount, unit=budget.unit)


def _cited(things: Iterable[Thing]) -> tuple[Cited, ...]:
    return tuple(Cited(label=thing.label, uid=thing.uid, role=thing.role, sha256=thing.sha256) for thing in things)


def _metrics(known: Provenance) -> Iterable[Metric]:
    """The numbers of the outputs; of a training, those of the checkpoint that validated best."""
    best = {thing.properties.get("best_checkpoint") for thing in known.outputs if thing.label == "Model"}
    for thing in known.outputs:
        if thing.role == OUTCOME or (thing.label == "Checkpoint" and best - {None} and thing.uid not in best):
            continue
        for (label, name), definition in METRICS.items():
            value: Any = thing.properties.get(name)
            if label == thing.label and value is not None:
                yield Metric(of=thing.uid, name=name, definition=definition, value=float(value))


def _time(moment: datetime) -> str:
    """UTC, to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
