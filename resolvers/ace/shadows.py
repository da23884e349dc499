"""The shadow ensemble: independent members vote on each prediction by majority.

Two members agree where they are close compared with how much they say will change,

    d(i, j) = ‖P_i − P_j‖ / min(‖P_i − O‖, ‖P_j − O‖) < τ,

O the field of time t: relative to ‖P‖ all who predict next to no change would always agree. A member whose total is off
by `max_energy_drift` has no vote. What is accepted is the mean of a clique, in which *all* agree with all: that A
agrees with B and B with C says nothing of A and C. It needs a quorum of ⌈2n/3⌉ of all n members, present or not, and
the mean is projected back to the energy total. Otherwise the ensemble abstains (`ConsensusFailure`).

This is majority voting with an honest aggregator, n = 2f + 1; it is no Byzantine agreement, which would take 3f + 1. Of
three members one liar is outvoted; two who tell the same lie are believed. NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from nvp.errors import FieldError

MEMBERS = 3
# distance, relative to the change, below which two members agree
TAU = 0.5
# largest relative error of a member's total
MAX_ENERGY_DRIFT = 0.05
# cliques are found by trying all subsets
LARGEST = 12


def quorum_of(members: int) -> int:
    """⌈2n/3⌉: more than half, and for three two."""
    return -(-2 * members // 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consensus:
    """What a quorum of the members says of one state."""

    field: Float[np.ndarray, "h w c"]
    # members whose mean it is, those who disagree with one of them, and those whose total was off
    agreeing: tuple[int, ...]
    dissenting: tuple[int, ...]
    barred: tuple[int, ...]
    # the largest distance within the clique
    diameter: float
    distances: Float[np.ndarray, "m m"]

    def to_json(self) -> dict[str, Any]:
        """All but the field."""
        return _votes(self.agreeing, self.dissenting, self.barred, self.distances)


class ConsensusFailure(FieldError):
    """No quorum agrees: the ensemble says nothing, and who said what is kept."""

    def __init__(
        self,
        *,
        quorum: int,
        largest: tuple[int, ...],
        barred: tuple[int, ...],
        distances: Float[np.ndarray, "m m"],
    ) -> None:
        members = len(distances)
        super().__init__(
            "NO_CONSENSUS",
            f"expected {quorum} of {members} members to agree, got {len(largest)}"
            + (f" ({len(barred)} have no vote: their total is off)." if barred else "."),
            next_step="Count it as an abstention.",
        )
        self.largest = largest
        self.barred = barred
        self.distances = distances
        self.dissenting = tuple(one for one in range(members) if one not in {*largest, *barred})

    def to_json(self) -> dict[str, Any]:
        """The votes."""
        return _votes(self.largest, self.dissenting, self.barred, self.distances)


def consensus(
    predicted: Float[np.ndarray, "m h w c"],
    origin: Float[np.ndarray, "h w c"],
    *,
    total: float | None,
    tau: float = TAU,
    max_energy_drift: float = MAX_ENERGY_DRIFT,
    quorum: int | None = None,
    signed: bool = False,
) -> Consensus:
    """What the members agree on; raises `ConsensusFailure` where no quorum does.

    `total` is what ΣP must be, ΣE_t + ΣQ_t dt − outflow; None where no law holds (then nobody is barred and nothing is
    projected).
    """
    members = len(predicted)
    if not 1 <= members <= LARGEST or not tau > 0 or not max_energy_drift > 0:
        raise FieldError(
            "BAD_CONFIG",
            f"expected 1 … {LARGEST} members, tau and max_energy_drift above 0, "
            f"got {members}, {tau}, {max_energy_drift}.",
            next_step="Use 3 members.",
        )
    needed = quorum_of(members) if quorum is None else quorum
    fields = predicted.astype(np.float64)
    apart = change_distances(fields, origin)
    barred = _barred(fields, total, max_energy_drift)
    voting = [one for one in range(members) if one not in barred]
    clique = _clique(apart, voting, tau)
    if len(clique) < needed:
        raise ConsensusFailure(quorum=needed, largest=clique, barred=barred, distances=apart)
    mean = fields[list(clique)].mean(axis=0)
    return Consensus(
        field=(mean if total is None else project(mean, total, signed=signed)).astype(predicted.dtype),
        agreeing=clique,
        dissenting=tuple(one for one in voting if one not in clique),
        barred=barred,
        diameter=_diameter(apart, clique),
        distances=apart,
    )


def change_distances(
    predicted: Float[np.ndarray, "m h w c"], origin: Float[np.ndarray, "h w c"]
) -> Float[np.ndarray, "m m"]:
    """d(i, j); 0 for the same field, infinite for different ones of which one changes nothing."""
    fields, before = predicted.astype(np.float64), origin.astype(np.float64)
    change = np.sqrt(((fields - before) ** 2).sum(axis=(1, 2, 3)))
    apart = np.sqrt(((fields[:, None] - fields[None]) ** 2).sum(axis=(2, 3, 4)))
    least = np.minimum(change[:, None], change[None])
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(apart == 0, 0.0, apart / least)
    # a field that is no number is far from everything
    found: np.ndarray = np.where(np.isnan(relative), np.inf, relative)
    return found


def project(mean: Float[np.ndarray, "h w c"], total: float, *, signed: bool) -> Float[np.ndarray, "h w c"]:
    """To the total: energies by a factor, which keeps them ≥ 0; signed fields by a constant."""
    now = float(mean.sum())
    if signed or now == 0:
        return mean + (total - now) / mean.size
    return mean * (total / now)


def require_independent(parameter_hashes: Sequence[str]) -> None:
    """Refuse members that are copies: they would agree on anything."""
    same = {one for one in parameter_hashes if parameter_hashes.count(one) > 1}
    if same:
        copies = [str(member) for member, one in enumerate(parameter_hashes) if one in same]
        raise FieldError(
            "SAME_MEMBERS",
            f"expected {len(parameter_hashes)} members with parameters of their own, got copies: {', '.join(copies)}.",
            next_step="Train each from its own seed, initialisation and bootstrap of the sequences.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """Whether voting makes fewer errors than one member that may be silent as often."""

    n: int
    # share of the states on which the ensemble says nothing
    abstention: float
    # share of wrong predictions: of the ensemble where it speaks; of one member where *it* is surest, as often; always
    ensemble: float | None
    single: float | None
    single_always: float
    # 1 − ensemble / single, at equal coverage; None where either has nothing to compare
    reduction: float | None

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def error_reduction(
    *,
    accepted: Bool[np.ndarray, " n"],
    wrong: Bool[np.ndarray, " n"],
    single_wrong: Bool[np.ndarray, " n"],
    single_doubt: Float[np.ndarray, " n"],
) -> Reduction:
    """`wrong` says where the ensemble is worse than persistence or breaks a law (of no account where it abstains).

    `single_doubt` is the variance that the single member says of itself: it is silent where that is largest. Whoever
    abstains from everything makes no error; hence both speak equally often, and the abstention stands beside.
    """
    n, spoken = len(accepted), int(accepted.sum())
    surest = np.argsort(single_doubt, kind="stable")[:spoken]
    ensemble = float(wrong[accepted].mean()) if spoken else None
    single = float(single_wrong[surest].mean()) if spoken else None
    return Reduction(
        n=n,
        abstention=1 - spoken / n,
        ensemble=ensemble,
        single=single,
        single_always=float(single_wrong.mean()),
        reduction=None if ensemble is None or not single else 1 - ensemble / single,
    )


def _barred(fields: Float[np.ndarray, "m h w c"], total: float | None, drift: float) -> tuple[int, ...]:
    """Members whose total is off, or no number."""
    if total is None:
        off: Shaped[np.ndarray, " m"] = ~np.isfinite(fields).all(axis=(1, 2, 3))
    else:
        # written so that NaN is off
        off = ~(np.abs(fields.sum(axis=(1, 2, 3)) - total) < drift * abs(total))
    return tuple(int(one) for one in np.flatnonzero(off))


def _clique(apart: Float[np.ndarray, "m m"], voting: Sequence[int], tau: float) -> tuple[int, ...]:
    """The largest set in which all agree with all; of several the closest, then the first."""
    close = apart < tau
    for size in range(len(voting), 1, -1):
        found = [
            some
            for some in combinations(voting, size)
            if all(close[one, other] for one, other in combinations(some, 2))
        ]
        if found:
            return min(found, key=lambda some: (_diameter(apart, some), some))
    return tuple(voting[:1])


def _diameter(apart: Float[np.ndarray, "m m"], clique: Sequence[int]) -> float:
    return max((float(apart[one, other]) for one, other in combinations(clique, 2)), default=0.0)


def _votes(
    agreeing: Sequence[int], dissenting: Sequence[int], barred: Sequence[int], distances: Float[np.ndarray, "m m"]
) -> dict[str, Any]:
    return {
        "agreeing": list(agreeing),
        "dissenting": list(dissenting),
        "barred": list(barred),
        "distances": [[value if math.isfinite(value) else None for value in row] for row in distances.tolist()],
    }
