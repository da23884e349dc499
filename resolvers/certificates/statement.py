"""What a certificate says, and which runs cannot have one.

A statement is a JSON object of fixed fields. `refusal` judges it by what it says itself, so that whoever issues one
and whoever checks one, with no graph at hand, hold it to the same rules:

    the run succeeded; its energy was accounted for, with its source; it stayed within its budget; its predictions were
    held to the laws of their domain and broke none; where members voted, ⌈2n/3⌉ different ones agreed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from graph.errors import GraphError

FORMAT: Literal["fieldgraph-certificate-1"] = "fieldgraph-certificate-1"
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Refused(GraphError):
    """No certificate: what it would attest is missing or broken."""

    exit_code = 1


class Invalid(GraphError):
    """Not what was issued: changed, cut, signed by another, or no certificate at all."""

    exit_code = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The run."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: str
    kind: str
    state: str
    # of the configuration as the graph keeps it
    config_sha256: str
    # text: seeds may be larger than what all readers of JSON agree on
    rng_seed: str
    code_version: str | None
    device: str | None
    attempt: int
    # it happened without the graph and was imported
    offline: bool
    created_at: str
    started_at: str
    finished_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited:
    """An input or output, and the hash of what it holds."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    label: str
    uid: str
    role: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that the run's outputs have, with what it means."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    of: str
    name: str
    definition: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What the run was allowed: joules by the accounting's source, or seconds."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    amount: float
    unit: Literal["J", "s"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """What the run took."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    energy_joules: float
    # how that is known: measured by a meter, or estimated
    energy_source: str
    # from start to end
    seconds: float
    budget: Budget | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Laws:
    """How the run's predictions stand to the laws of their domain."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    predictions: int
    unchecked: int
    violations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """The hypothesis that an ACE run tested, and its verdict."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    uid: str
    text_sha256: str
    claim_sha256: str
    verdict: str
    credence: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one member of a shadow ensemble said; `parameters_sha256` tells members apart."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    member: int
    parameters_sha256: str
    agrees: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of an ACE run and what it took."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: str
    energy_joules: float | None
    energy_source: str | None
    started_at: str | None
    finished_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """All that a certificate attests."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    format: Literal["fieldgraph-certificate-1"]
    uid: str
    number: int
    previous_digest: str
    issued_at: str
    public_key: str
    run: Work
    inputs: tuple[Cited, ...]
    outputs: tuple[Cited, ...]
    metrics: tuple[Metric, ...]
    laws: Laws
    accounting: Accounting
    hypotheses: tuple[Tested, ...]
    stages: tuple[Stage, ...]
    votes: tuple[Vote, ...]


_STATEMENT = TypeAdapter(Statement)


def read(text: bytes) -> Statement:
    """The statement in a JSON text; raises Invalid where a field is missing, of another type or unknown."""
    try:
        return _STATEMENT.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the statement"
        expected = f"expected a statement of format {FORMAT}, got for {where}: {first['msg'].lower()}."
        raise Invalid("NOT_A_CERTIFICATE", expected) from None


def written(statement: Statement) -> dict[str, Any]:
    """The statement as a JSON value."""
    value: dict[str, Any] = _STATEMENT.dump_python(statement, mode="json")
    return value


def quorum(members: int) -> int:
    """How many of `members` have to agree: ⌈2n/3⌉."""
    return -(-2 * members // 3)


def refusal(statement: Statement) -> Refused | None:
    """Why this may not be certified; None where it may."""
    work, account, laws = statement.run, statement.accounting, statement.laws
    if work.state != "SUCCEEDED":
        return Refused(
            "RUN_NOT_SUCCEEDED",
            f"expected a run that succeeded, got {work.uid} in state {work.state}.",
            next_step="Only what was done can be certified.",
        )
    if not (account.energy_joules >= 0 and account.seconds >= 0 and account.energy_source):
        return missing(work.uid, "energy that is not negative, with its source")
    if account.budget is not None:
        spent = account.energy_joules if account.budget.unit == "J" else account.seconds
        if account.budget.amount <= 0 or spent > account.budget.amount:
            return Refused(
                "BUDGET_EXCEEDED",
                f"expected run {work.uid} to spend at most {account.budget.amount:g} {account.budget.unit}, "
                f"got {spent:g} {account.budget.unit}.",
                next_step="Submit it again with a budget that it can keep.",
            )
    if laws.unchecked:
        return missing(
            work.uid, f"the laws checked for all {laws.predictions} predictions, not {laws.unchecked} left out"
        )
    if laws.violations:
        return Refused(
            "LAWS_VIOLATED",
            f"expected run {work.uid} to keep the laws of its domain, got {laws.violations} violations.",
            next_step="`fieldgraph predict --json` lists them; predict with a checkpoint that keeps them.",
        )
    return _voted(statement)


def missing(run: str, what: str) -> Refused:
    """The refusal of a run whose accounting is not whole."""
    return Refused(
        "ACCOUNTING_MISSING",
        f"expected run {run} to be accounted for, got none of {what}.",
        next_step="Submit it again: a worker that meters its runs writes it when the run ends.",
    )


def _voted(statement: Statement) -> Refused | None:
    """An ACE run needs a quorum of different members; for others there is none to need."""
    if statement.run.kind != "ace" and not statement.votes:
        return None
    agree = {vote.parameters_sha256 for vote in statement.votes if vote.agrees}
    needed = max(2, quorum(len(statement.votes)))
    if len(agree) >= needed:
        return None
    return Refused(
        "NO_QUORUM",
        f"expected {needed} different members of {len(statement.votes)} to agree, got {len(agree)} "
        f"in run {statement.run.uid}.",
        next_step="Without a quorum there is no result to certify.",
    )
