"""Hypotheses: proposed, taken up by a run, settled by what it found.

    (Hypothesis)-[:ABOUT]->(Domain)      (later)-[:REFINES]->(earlier)
    (Hypothesis)-[:TESTED_BY {verdict, prior, credence, weight, verdict_json}]->(ACERun)-[:USED {role}]->(Evaluation)
    (Hypothesis)-[:SUPPORTED_BY | REFUTED_BY {weight, run}]->(Evaluation)

A claim is one node, however it is said. The node has the verdict and credence of the run that settled it last; what
each run found stays on its TESTED_BY. What leaves a claim undetermined is cited by the run alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString, get_args

from neo4j import AsyncManagedTransaction

from graph.errors import GraphError, NotFound
from graph.gateway import Gateway
from graph.identity import canonical_json, event_uid
from graph.queries.leases import Lease, fence
from graph.queries.numbers import finite
from graph.queries.rows import native, parsed

Verdict = Literal["supported", "refuted", "undetermined"]
UNTESTED = "untested"
LONGEST = 500
"""Characters of a hypothesis."""
EVIDENCE = "evidence"
"""Role of an evaluation that a run cites."""
_FLAT = ("domain", "metric", "comparator", "threshold", "versus", "model", "regime", "horizon")


@dataclass(frozen=True, slots=True, kw_only=True)
class HypothesisRow:
    """A hypothesis as it was when it was read."""

    uid: str
    # None for one that was drawn by hand and makes no claim
    key: str | None
    text: str
    claim: dict[str, Any]
    domain: str | None
    credence: float | None
    # untested until a run has settled it
    verdict: str
    created_at: datetime | None
    settled_at: datetime | None
    # uids of what it was asked after
    refines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRow:
    """What one run made of one hypothesis; all but `taken_at` and `prior` are None until it has settled it."""

    __test__ = False

    run: str
    hypothesis: HypothesisRow
    verdict: str | None
    prior: float | None
    credence: float | None
    weight: float | None
    # as it was reported
    result: dict[str, Any]
    taken_at: datetime
    settled_at: datetime | None


async def propose(
    gateway: Gateway,
    *,
    text: str,
    claim: Mapping[str, Any],
    key: str,
    credence: float,
    about: str,
    refines: str | None = None,
    lease: Lease | None = None,
) -> HypothesisRow:
    """Write a hypothesis, or find the one that makes this claim, which stays as it was first said.

    `key` is the digest of the claim, `about` the name of its domain, `refines` the uid of the one it is asked after; a
    link that would close a circle is left out. With a `lease`, a run that has lost it proposes nothing. Raises NotFound
    for domain and earlier hypothesis, LeaseLost, GraphError (BAD_HYPOTHESIS).
    """
    said = text.strip()
    if not (0 < len(said) <= LONGEST and said.isprintable()) or not 0 <= credence <= 1:
        shown = said if len(said) <= LONGEST else f"{said[:40]}…"
        raise GraphError(
            "BAD_HYPOTHESIS",
            f"expected a sentence of 1 to {LONGEST} printable characters and a credence in 0 … 1, "
            f"got {shown!r} and {credence}.",
            next_step="Say it in one line.",
        )
    perturbation = claim.get("perturbation") or {}
    properties = {
        "text": said,
        "claim_json": canonical_json(claim).decode(),
        **{name: claim.get(name) for name in _FLAT},
        "threshold": None if claim.get("threshold") is None else float(claim["threshold"]),
        "perturbation": perturbation.get("operation"),
        "credence": float(credence),
        "verdict": UNTESTED,
    }
    uid = event_uid()

    async def work(tx: AsyncManagedTransaction) -> HypothesisRow:
        if lease is not None:
            await fence(tx, lease)
        made = await (await tx.run(PROPOSE, key=key, uid=uid, properties=properties, about=about)).single()
        if made is None:
            raise NotFound("Domain", about, by="name", next_step="Ingest or generate a sequence of it first.")
        if refines is not None and refines != made["uid"]:
            linked = await (await tx.run(REFINE, uid=made["uid"], earlier=refines)).single()
            if linked is None:
                raise NotFound("Hypothesis", refines, next_step="Propose it first.")
        row = await (await tx.run(_GET, uid=made["uid"])).single(strict=True)
        return _hypothesis(row["hypothesis"])

    return await gateway.transact(work)


async def hypothesis(gateway: Gateway, uid: str) -> HypothesisRow:
    """The hypothesis of this uid; raises NotFound."""
    rows = await gateway.read(_GET, uid=uid)
    if not rows:
        raise NotFound("Hypothesis", uid, next_step="The API's `hypotheses` lists those that exist.")
    return _hypothesis(rows[0]["hypothesis"])


async def hypotheses(
    gateway: Gateway,
    *,
    domain: str | None = None,
    verdict: str | None = None,
    limit: int = 50,
    after: str | None = None,
) -> list[HypothesisRow]:
    """Hypotheses, latest first; `after` is the uid of the last one seen."""
    rows = await gateway.read(_LIST, domain=domain, verdict=verdict, limit=limit, after=after)
    return [_hypothesis(row["hypothesis"]) for row in rows]


async def take_up(gateway: Gateway, lease: Lease, uid: str) -> HypothesisRow:
    """Say that this run tests it; its credence now is what the run starts from. Raises LeaseLost, NotFound."""

    async def work(tx: AsyncManagedTransaction) -> HypothesisRow:
        await fence(tx, lease)
        if await (await tx.run(TAKE_UP, run=lease.run, uid=uid)).single() is None:
            raise NotFound("Hypothesis", uid, next_step="Propose it first.")
        row = await (await tx.run(_GET, uid=uid)).single(strict=True)
        return _hypothesis(row["hypothesis"])

    return await gateway.transact(work)


async def first_prior(gateway: Gateway, uid: str) -> float | None:
    """Credence before any run had tested it: what a run starts from that looks at the same evidence again."""
    rows = await gateway.read(FIRST_PRIOR, uid=uid)
    return rows[0]["prior"] if rows else None


async def settle(
    gateway: Gateway,
    lease: Lease,
    *,
    hypothesis: str,
    verdict: Verdict,
    credence: float,
    weight: float,
    evidence: Sequence[str],
    prior: float | None = None,
    result: Mapping[str, Any] | None = None,
) -> None:
    """Write what this run found; a run that settles it again (in a later round) overwrites what it said before.

    Of several runs the latest that decided stands: one that leaves it open takes nothing back.
    `weight` is log10 of the Bayes factor, `prior` what the run started from (None: the credence when it was taken up),
    `evidence` the uids of the evaluations that were looked at, `result` all that was found. Raises LeaseLost, NotFound,
    GraphError (BAD_VERDICT).
    """
    if verdict not in get_args(Verdict) or not 0 <= credence <= 1 or not math.isfinite(weight):
        raise GraphError(
            "BAD_VERDICT",
            f"expected one of {', '.join(get_args(Verdict))}, a credence in 0 … 1 and a finite weight, "
            f"got {verdict!r}, {credence} and {weight}.",
        )
    found = {
        "verdict": verdict,
        "credence": float(credence),
        "weight": float(weight),
        **({} if prior is None else {"prior": float(prior)}),
        "verdict_json": canonical_json(finite(dict(result or {}))).decode(),
    }
    links: dict[str, Any] = {
        "run": lease.run,
        "uid": hypothesis,
        "weight": float(weight),
        "evidence": list(dict.fromkeys(evidence)),
    }

    async def work(tx: AsyncManagedTransaction) -> None:
        await fence(tx, lease)
        if await (await tx.run(SETTLE, run=lease.run, uid=hypothesis, found=found)).single() is None:
            raise NotFound("Hypothesis", hypothesis, next_step="Propose it first.")
        cited = {record["uid"] async for record in await tx.run(CITE, links)}
        for uid in links["evidence"]:
            if uid not in cited:
                raise NotFound("Evaluation", uid, next_step="Evaluate the checkpoint first.")
        if verdict != "undetermined":
            await (await tx.run(SUPPORT if verdict == "supported" else REFUTE, links)).consume()

    await gateway.transact(work)


async def tested(gateway: Gateway, run: str) -> list[TestRow]:
    """The hypotheses that a run has taken up, in that order, and what it found."""
    return [_test(row["test"]) for row in await gateway.read(TESTED, run=run, limit=1000)]


def _hypothesis(row: Mapping[str, Any]) -> HypothesisRow:
    values = native(row)
    return HypothesisRow(claim=parsed(values.pop("claim_json")), refines=tuple(sorted(values.pop("refines"))), **values)


def _test(row: Mapping[str, Any]) -> TestRow:
    values = native(row)
    return TestRow(
        hypothesis=_hypothesis(values.pop("hypothesis")), result=parsed(values.pop("verdict_json")), **values
    )


PROPOSE: LiteralString = """
MATCH (d:Domain {name: $about})
MERGE (h:Hypothesis {key: $key})
ON CREATE SET h += $properties, h.uid = $uid, h.created_at = datetime()
MERGE (h)-[:ABOUT]->(d)
RETURN h.uid AS uid
"""

REFINE: LiteralString = """
MATCH (h:Hypothesis {uid: $uid})
MATCH (earlier:Hypothesis {uid: $earlier})
FOREACH (_ IN CASE WHEN EXISTS { (earlier)-[:REFINES*1..100]->(h) } THEN [] ELSE [1] END |
  MERGE (h)-[:REFINES]->(earlier))
RETURN h.uid AS uid
"""

TAKE_UP: LiteralString = """
MATCH (r:Run {uid: $run})
MATCH (h:Hypothesis {uid: $uid})
MERGE (h)-[test:TESTED_BY]->(r)
ON CREATE SET test.taken_at = datetime(), test.prior = h.credence
RETURN h.uid AS uid
"""

FIRST_PRIOR: LiteralString = """
MATCH (h:Hypothesis {uid: $uid})-[test:TESTED_BY]->(:Run) WHERE test.prior IS NOT NULL
RETURN test.prior AS prior ORDER BY test.taken_at LIMIT 1
"""

SETTLE: LiteralString = """
MATCH (r:Run {uid: $run})
MATCH (h:Hypothesis {uid: $uid})
MERGE (h)-[test:TESTED_BY]->(r)
ON CREATE SET test.taken_at = datetime(), test.prior = h.credence
SET test += $found, test.settled_at = datetime()
WITH h, test
CALL (h) {
  OPTIONAL MATCH (h)-[one:TESTED_BY]->(:Run) WHERE one.settled_at IS NOT NULL AND one.verdict <> 'undetermined'
  RETURN one AS decided ORDER BY one.settled_at DESC LIMIT 1
}
WITH h, coalesce(decided, test) AS stands
SET h.verdict = stands.verdict, h.credence = stands.credence, h.settled_at = stands.settled_at
WITH h
CALL (h) {
  MATCH (h)-[before:SUPPORTED_BY|REFUTED_BY]->(:Evaluation) WHERE before.run = $run
  DELETE before
}
RETURN h.uid AS uid
"""

CITE: LiteralString = """
MATCH (r:Run {uid: $run})
UNWIND $evidence AS uid
MATCH (v:Evaluation {uid: uid})
MERGE (r)-[:USED {role: 'evidence'}]->(v)
RETURN v.uid AS uid
"""

SUPPORT: LiteralString = """
MATCH (h:Hypothesis {uid: $uid})
UNWIND $evidence AS uid
MATCH (v:Evaluation {uid: uid})
CREATE (h)-[:SUPPORTED_BY {weight: $weight, run: $run}]->(v)
"""

REFUTE: LiteralString = """
MATCH (h:Hypothesis {uid: $uid})
UNWIND $evidence AS uid
MATCH (v:Evaluation {uid: uid})
CREATE (h)-[:REFUTED_BY {weight: $weight, run: $run}]->(v)
"""

_MAP: LiteralString = """h {.uid, .key, .claim_json, .domain, .credence, .created_at, .settled_at,
  text: coalesce(h.text, ''), verdict: coalesce(h.verdict, 'untested'),
  refines: COLLECT { MATCH (h)-[:REFINES]->(earlier:Hypothesis) RETURN earlier.uid }}"""

_GET: LiteralString = "MATCH (h:Hypothesis {uid: $uid}) RETURN " + _MAP + " AS hypothesis LIMIT 1"

_LIST: LiteralString = (
    """
MATCH (h:Hypothesis)
WHERE h.uid < coalesce($after, '~')
  AND ($domain IS NULL OR h.domain = $domain) AND ($verdict IS NULL OR h.verdict = $verdict)
RETURN """
    + _MAP
    + " AS hypothesis ORDER BY h.uid DESC LIMIT $limit"
)

TESTED: LiteralString = (
    """
MATCH (r:Run {uid: $run})<-[test:TESTED_BY]-(h:Hypothesis)
RETURN test {.verdict, .prior, .credence, .weight, .verdict_json, .taken_at, .settled_at, run: r.uid, hypothesis: """
    + _MAP
    + "} AS test ORDER BY test.taken_at, h.uid LIMIT $limit"
)
