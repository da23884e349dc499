"""The ballot: what the shadow ensemble accepts of what its members said, and what that is worth.

A prediction is wrong where it is worse than persistence (fidelity below 0) or breaks a law of its domain. Fewer errors
are compared with those of one member that is silent as often, and the share of abstentions stands beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from graph.queries.ace import NewVote
from nvp.dynamics.domain import DomainSpec
from nvp.thermo.scores import finite, pair_errors
from nvp.thermo.violations import CLOSURE, negative, second_law_violated
from resolvers.ace.shadows import (
    Consensus,
    ConsensusFailure,
    consensus,
    error_reduction,
    quorum_of,
    require_independent,
)
from resolvers.services.shadows import Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """How a vote went."""

    votes: tuple[NewVote, ...]
    # starts at which a quorum agreed
    accepted: int
    # predictions that were accepted and break a law
    violations: int
    report: dict[str, Any]

    @property
    def quorum(self) -> bool:
        """Whether a quorum agreed anywhere."""
        return self.accepted > 0


def count(said: Said, spec: DomainSpec, *, round: int) -> Ballot:
    """Count the votes of each start. Raises FieldError where members are copies of each other."""
    require_independent(said.hashes)
    starts, members = said.predicted.shape[:2]
    answers: list[Consensus | ConsensusFailure] = []
    for at in range(starts):
        total = float(said.total[at])
        try:
            answers.append(
                consensus(
                    said.predicted[at],
                    said.origin[at],
                    total=None if np.isnan(total) else total,
                    signed=spec.signed,
                )
            )
        except ConsensusFailure as failure:
            answers.append(failure)
    accepted = np.array([isinstance(answer, Consensus) for answer in answers])
    fields = np.stack(
        [answer.field if isinstance(answer, Consensus) else said.origin[at] for at, answer in enumerate(answers)]
    )
    broken, single = _broken(fields, said, spec), said.predicted[:, 0]
    wrong = broken | (_fidelity(fields, said) < 0)
    single_wrong = _broken(single, said, spec) | (_fidelity(single, said) < 0)
    reduction = error_reduction(
        accepted=accepted, wrong=wrong, single_wrong=single_wrong, single_doubt=said.variance[:, 0]
    )
    agreed = [
        sum(member in answer.agreeing for answer in answers if isinstance(answer, Consensus))
        for member in range(members)
    ]
    spoken = int(accepted.sum())
    return Ballot(
        votes=tuple(
            NewVote(
                member=member,
                sha256=sha256,
                # one of the quorum in most of what was accepted
                agrees=2 * agreed[member] > spoken,
                round=round,
                starts=starts,
                agreed=agreed[member],
            )
            for member, sha256 in enumerate(said.hashes)
        ),
        accepted=spoken,
        violations=int((broken & accepted).sum()),
        report={
            **reduction.to_json(),
            "quorum": quorum_of(members),
            "accepted": spoken,
            "fidelity": finite(_pooled(fields[accepted], said, accepted)),
            "single_fidelity": finite(_pooled(single, said, np.ones(starts, bool))),
            # variance of the members' means, and mean of the variances that they say
            "epistemic": float(said.predicted.astype(np.float64).var(axis=1, ddof=1).mean()),
            "aleatoric": float(said.variance.mean()),
            "dissent": [_dissent(at, answer) for at, answer in enumerate(answers) if not isinstance(answer, Consensus)],
        },
    )


def _fidelity(fields: Float[np.ndarray, "n h w c"], said: Said) -> Float[np.ndarray, " n"]:
    found: Float[np.ndarray, " n"] = pair_errors(fields, said.truth, said.origin).fidelity
    return found


def _pooled(fields: Float[np.ndarray, "n h w c"], said: Said, chosen: Any) -> float:
    if not len(fields):
        return float("nan")
    errors = pair_errors(fields, said.truth[chosen], said.origin[chosen])
    change = errors.change.sum()
    return float(1 - np.sqrt(errors.error.sum() / change)) if change > 0 else float("nan")


def _broken(fields: Float[np.ndarray, "n h w c"], said: Said, spec: DomainSpec) -> Any:
    """Which fields break a law of the domain."""
    broken = ~np.isfinite(fields).all(axis=(1, 2, 3))
    if spec.signed:
        return broken
    broken = broken | negative(fields)
    size = np.abs(said.origin).sum(axis=(1, 2, 3), dtype=np.float64)
    off = np.abs(fields.sum(axis=(1, 2, 3), dtype=np.float64) - said.total)
    # where nobody can say the total, no account can be held
    broken = broken | (np.nan_to_num(off) > CLOSURE * size)
    if spec.second_law:
        broken = broken | second_law_violated(fields, said.origin)
    return broken


def _dissent(at: int, answer: ConsensusFailure) -> dict[str, Any]:
    return {"start": at, "largest": list(answer.largest), "barred": list(answer.barred)}


def abstention(reason: str) -> dict[str, Any]:
    """What is reported where no member could speak."""
    return {"accepted": 0, "abstention": 1.0, "reason": reason}
