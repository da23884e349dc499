"""Scores of a prediction P of T from O: the headline fidelity, The Well's VRMSE, and looser ones under their own names.

Fidelity measures what is left of the change: 1 − ‖P − T‖/‖T − O‖, so that predicting no change (persistence) scores
exactly 0. `pooled` takes both norms over all pairs of a split, `mean` and `median` are over the pairs' own fidelities;
pairs that do not change (static) have none and are counted instead. Nothing is clamped: a prediction worse than
persistence is negative.

VRMSE: Ohana et al., The Well (2024), `the_well.benchmark.metrics.VRMSE`: unbiased variance, eps 1e-7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from nvp.thermo.bootstrap import pooled_interval

VRMSE_EPSILON = 1e-7
# a pair is static where its change is below float32's resolution of the field
STATIC = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A fidelity over many pairs; NaN where there is nothing to score."""

    # over the pairs that change
    mean: float
    median: float
    # of all pairs together: the headline
    pooled: float
    # pairs that change, and pairs that do not
    n: int
    static: int = 0
    # 95 % interval of `pooled`, by bootstrap over blocks; NaN where there is one block only
    ci95: tuple[float, float] = (float("nan"), float("nan"))

    def to_json(self) -> dict[str, Any]:
        """Plain values, null for NaN."""
        return {
            "mean": finite(self.mean),
            "median": finite(self.median),
            "pooled": finite(self.pooled),
            "n": self.n,
            "static": self.static,
            "ci95": [finite(bound) for bound in self.ci95],
        }


@dataclass(frozen=True, slots=True)
class PairErrors:
    """Squared norms of each pair: all that its fidelity needs, small enough to keep for a whole split."""

    # ‖P − T‖², ‖T − O‖² and ‖T‖²
    error: Float[np.ndarray, "n"]
    change: Float[np.ndarray, "n"]
    size: Float[np.ndarray, "n"]

    @property
    def static(self) -> Bool[np.ndarray, "n"]:
        return self.change <= STATIC**2 * self.size

    @property
    def fidelity(self) -> Float[np.ndarray, "n"]:
        """1 − ‖P − T‖/‖T − O‖ of each pair, NaN for static ones."""
        moving = np.where(self.static, np.nan, self.change)
        return 1 - np.sqrt(self.error / moving)


def pair_errors(
    predicted: Float[np.ndarray, "n h w c"], truth: Float[np.ndarray, "n h w c"], origin: Float[np.ndarray, "n h w c"]
) -> PairErrors:
    """Squared norms of each of n pairs, accumulated in float64."""
    return PairErrors(_squares(predicted, truth), _squares(truth, origin), _squares(truth, np.zeros_like(truth[:1])))


def concatenate(parts: Sequence[PairErrors]) -> PairErrors:
    """Pairs of several parts as one."""
    return PairErrors(
        np.concatenate([part.error for part in parts]),
        np.concatenate([part.change for part in parts]),
        np.concatenate([part.size for part in parts]),
    )


def fidelity_score(pairs: PairErrors, *, blocks: Int[np.ndarray, "n"], key: int = 0) -> Score:
    """Headline fidelity over the pairs; `blocks` says which ones the bootstrap keeps together."""
    own = pairs.fidelity[~pairs.static]
    return Score(
        mean=float(own.mean()) if own.size else float("nan"),
        median=float(np.median(own)) if own.size else float("nan"),
        pooled=pooled_fidelity(pairs.error.sum(), pairs.change.sum()),
        n=own.size,
        static=int(pairs.static.sum()),
        ci95=pooled_interval(pairs.error, pairs.change, blocks=blocks, key=key),
    )


def pooled_fidelity(error: float, change: float) -> float:
    """1 − sqrt(Σ‖P − T‖² / Σ‖T − O‖²); NaN where nothing changes."""
    return float(1 - np.sqrt(error / change)) if change > 0 else float("nan")


def vrmse(predicted: Float[np.ndarray, "n h w c"], truth: Float[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n c"]:
    """Error of each field relative to its own standard deviation (ddof 1): predicting its mean scores about 1."""
    predicted, truth = predicted.astype(np.float64), truth.astype(np.float64)
    error = ((predicted - truth) ** 2).mean(axis=(1, 2))
    relative: Float[np.ndarray, "n c"] = np.sqrt(error / (truth.var(axis=(1, 2), ddof=1) + VRMSE_EPSILON))
    return relative


def total_energy_fidelity(
    predicted: Float[np.ndarray, "n h w c"], truth: Float[np.ndarray, "n h w c"]
) -> Float[np.ndarray, "n"]:
    """1 − |Σ(T − P)|/|ΣT|: sees totals only, any field of the right total scores 1."""
    totals = truth.sum(axis=(1, 2, 3), dtype=np.float64)
    missing = totals - predicted.sum(axis=(1, 2, 3), dtype=np.float64)
    fidelity: Float[np.ndarray, "n"] = 1 - np.abs(missing) / np.where(totals == 0, np.nan, np.abs(totals))
    return fidelity


def field_fidelity(
    predicted: Float[np.ndarray, "n h w c"], truth: Float[np.ndarray, "n h w c"]
) -> Float[np.ndarray, "n"]:
    """1 − ‖P − T‖/‖T‖: near 1 for persistence on slow fields."""
    size = _squares(truth, np.zeros_like(truth[:1]))
    return 1 - np.sqrt(_squares(predicted, truth) / np.where(size == 0, np.nan, size))


def finite(value: float) -> float | None:
    """The value, or None where JSON has no number for it."""
    return float(value) if np.isfinite(value) else None


def _squares(one: Float[np.ndarray, "n h w c"], other: Float[np.ndarray, "_ h w c"]) -> Float[np.ndarray, "n"]:
    """Σ(one − other)² of each field, in float64."""
    squares: Float[np.ndarray, "n"] = ((one.astype(np.float64) - other.astype(np.float64)) ** 2).sum(axis=(1, 2, 3))
    return squares
