"""Regime: one word for what a field looks like, by rules that anybody can check.

Four numbers of a frame decide, none of which depends on its unit, its amplitude or its place on the grid:

- relative spread: standard deviation / root mean square
- excess kurtosis of the cells: 0 for a Gaussian field, large where few cells hold what there is
- Taylor scale λ = √(variance / 2·gradient energy), in cells: how far one may go before the field has changed
- bandwidth: standard deviation of ln k under the power spectrum p(k), k in waves per shorter side; 0 for one wave
  length, about 0.6 … 0.8 for the broad spectra of turbulence

The first rule that holds decides:

    uniform      relative spread < 1e-6: nothing but rounding
    localised    kurtosis > 3: bursts, spots, fronts (as a Laplace distribution has it, and more)
    rough        λ < 1.5 cells: noise, or structure that the grid does not resolve
    smooth       λ > a twelfth of the shorter side: waves of about its length
    patterned    bandwidth < 0.5: one wave length, such as a lattice or stripes
    structured   everything between: many scales at once

Reference: Taylor's microscale and the meaning of the spectrum, Pope, Turbulent Flows (2000), ch. 6; kurtosis as the
measure of intermittency, Frisch, Turbulence (1995), ch. 8. The thresholds are ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Shaped

REGIMES = ("uniform", "localised", "rough", "smooth", "patterned", "structured")
NEIGHBOURS = 5


def classify(
    *,
    relative_spread: Float[np.ndarray, "t"],
    kurtosis: Float[np.ndarray, "t"],
    gradient_scale: Float[np.ndarray, "t"],
    bandwidth: Float[np.ndarray, "t"],
    side: int,
) -> Shaped[np.ndarray, "t"]:
    """The regime of each frame; `gradient_scale` is λ in cells, `side` the shorter side."""
    return np.select(
        [
            relative_spread < 1e-6,
            kurtosis > 3.0,
            gradient_scale < 1.5,
            gradient_scale > side / 12,
            bandwidth < 0.5,
        ],
        REGIMES[:-1],
        REGIMES[-1],
    )


def bandwidth(shares: Float[np.ndarray, "t k"]) -> Float[np.ndarray, "t"]:
    """Standard deviation of ln k, k = 1 … K, under the spectrum; 0 where there is none."""
    log_k = np.log(np.arange(1, shares.shape[1] + 1))
    total = shares.sum(axis=1, keepdims=True)
    weight = shares / np.where(total > 0, total, 1.0)
    mean = weight @ log_k
    # (Σ p ln² k − mean²) would cancel for a narrow spectrum
    spread: np.ndarray = np.sqrt(np.sum(weight * (log_k - mean[:, None]) ** 2, axis=1))
    return spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How well the past of some sequences tells the regimes of their future."""

    # share of the frames of the second halves that the k nearest of the first halves name rightly
    agreement: float
    # the same where no frame of the own sequence has a vote, for those may be nearly equal; None for one sequence
    apart: float | None
    # what naming the commonest regime of the first halves for all would reach
    majority: float
    # frames of the second halves
    n: int
    # frames of both halves by regime
    counts: Mapping[str, int]


def agreement(
    sequences: Sequence[tuple[Float32[np.ndarray, "_ d"], Shaped[np.ndarray, "_"]]], *, k: int = NEIGHBOURS
) -> Agreement:
    """k nearest neighbours by cosine, fitted on the first halves of sequences of (descriptors, regimes).

    That descriptors find frames of the same regime is what a similarity search by them promises.
    """
    known, known_regime = _joined([(found[: len(found) // 2], said[: len(said) // 2]) for found, said in sequences])
    asked, truth = _joined([(found[len(found) // 2 :], said[len(said) // 2 :]) for found, said in sequences])
    votes = _Votes(known, known_regime, k)
    told = np.concatenate([votes.of(asked[start : start + 1024]) for start in range(0, len(asked), 1024)])
    commonest = Counter(known_regime.tolist()).most_common(1)[0][0]
    return Agreement(
        agreement=float(np.mean(told == truth)),
        apart=_apart(sequences, k) if len(sequences) > 1 else None,
        majority=float(np.mean(truth == commonest)),
        n=len(truth),
        counts=dict(Counter([*known_regime.tolist(), *truth.tolist()]).most_common()),
    )


class _Votes:
    """What the k nearest of some frames name a frame."""

    def __init__(self, known: Float32[np.ndarray, "n d"], regimes: Shaped[np.ndarray, "n"], k: int) -> None:
        self._known, self._k = known, k
        self._names = np.array(sorted(set(regimes.tolist())))
        self._votes = regimes[:, None] == self._names

    def of(self, asked: Float32[np.ndarray, "q d"]) -> Shaped[np.ndarray, "q"]:
        nearest = np.argsort(-(asked @ self._known.T), axis=1, kind="stable")[:, : self._k]
        told: np.ndarray = self._names[self._votes[nearest].sum(axis=1).argmax(axis=1)]
        return told


def _apart(sequences: Sequence[tuple[np.ndarray, np.ndarray]], k: int) -> float:
    """Share of the frames of second halves that the first halves of the other sequences name rightly."""
    firsts = [(found[: len(found) // 2], said[: len(said) // 2]) for found, said in sequences]
    right: list[bool] = []
    for number, (found, said) in enumerate(sequences):
        votes = _Votes(*_joined([*firsts[:number], *firsts[number + 1 :]]), k)
        half = len(found) // 2
        right += (votes.of(found[half:]) == said[half:]).tolist()
    return float(np.mean(right))


def _joined(halves: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([found for found, _ in halves]), np.concatenate([said for _, said in halves])
