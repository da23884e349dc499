"""Scores of a forecast that says how sure it is: N(mean, σ²) per cell, and the members of an ensemble.

- CRPS, E|X − y| − ½E|X − X'|: the absolute error of a forecast that says one value, and a proper score of one that says
  a distribution. `fair` counts the pairs of m members by m(m − 1), so that few members are not punished for being few.
- coverage: the share of cells within the central interval of this probability; PIT: Φ((y − mean)/σ), uniform where the
  distribution is right, told by 20 bins and by the Kolmogorov–Smirnov distance
- spread–skill: √(mean σ²)/√(mean (mean − y)²), 1 where errors are as large as said. For m members that the truth could
  be one of, the error of their mean holds 1/m of the variance besides: their spread is multiplied by √((m + 1)/m)
- sharpness: the mean of σ, the smaller the better *among calibrated forecasts*
- by variance: coverage and spread–skill among the fifths of the cells about which it is surest … least sure. One
  variance for all cells can have every figure right on the whole, and none of these

References: Gneiting & Raftery, JASA 102 (2007); Gneiting, Balabdaoui & Raftery, JRSS B 69 (2007); Ferro, QJRMS 140
(2014), fair scores; Fortin et al., J. Hydrometeorology 15 (2014), the finite ensemble's spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr, ndtri
from scipy.stats import spearmanr

from nvp.thermo.bootstrap import RESAMPLES
from nvp.thermo.scores import finite

LEVELS = (0.50, 0.68, 0.90, 0.95)
PIT_BINS = 20
# groups of cells by their variance
GROUPS = 5
# the Kolmogorov–Smirnov distance is read off this many bins of the PIT, those of the histogram included
_FINE = 1000
# log-variances are counted in bins of this width within ± `_RANGE`, of which the groups are made
_WIDTH, _RANGE = 0.02, 80.0
# cells of one call that enter the rank correlation
_SAMPLE = 4096

Values = Float[np.ndarray, "*cells"]
_CENTRAL = ndtri(0.5 + np.asarray(LEVELS) / 2)


def crps_gaussian(mean: Values, log_var: Values, truth: Values) -> Values:
    """CRPS of N(mean, exp(log_var)) per cell: σ(z(2Φ(z) − 1) + 2φ(z) − 1/√π), z = (y − mean)/σ."""
    deviation = np.exp(0.5 * log_var.astype(np.float64))
    z = (truth.astype(np.float64) - mean) / deviation
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    crps: Values = deviation * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))
    return crps


def crps_ensemble(
    members: Float[Any, "m *cells"], truth: Float[Any, "*cells"], *, fair: bool = True
) -> Float[Any, "*cells"]:
    """CRPS of m members per cell, of numpy or of JAX arrays: mean |x − y| less half the mean |x − x'| of the pairs."""
    m = members.shape[0]
    error = abs(members - truth[None]).mean(axis=0)
    if m == 1:
        return error
    pairs = sum(abs(members[k:] - members[:-k]).sum(axis=0) for k in range(1, m))
    return error - pairs / (m * (m - 1) if fair else m * m)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Cells about which a forecast is about equally sure."""

    # √(mean σ²) and √(mean error²)
    spread: float
    skill: float
    coverage90: float
    n: int

    @property
    def spread_skill(self) -> float:
        """Their ratio."""
        return _ratio(self.spread, self.skill)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        values = {"spread": self.spread, "skill": self.skill, "coverage90": self.coverage90}
        return {name: finite(value) for name, value in values.items()} | {
            "spread_skill": finite(self.spread_skill),
            "n": self.n,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberCalibration:
    """What the members by themselves say."""

    members: int
    # fair
    crps: float
    spread_skill: float
    # cells by how many of the members are below the truth, 0 … m
    ranks: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "members": self.members,
            "crps": finite(self.crps),
            "spread_skill": finite(self.spread_skill),
            "ranks": list(self.ranks),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Over all cells; NaN where nothing can be scored. Intervals by bootstrap over blocks, none with fewer than 2."""

    coverage50: float
    coverage68: float
    coverage90: float
    coverage95: float
    spread_skill: float
    # share of the cells in each of 20 bins, and the largest distance of the PIT from uniform
    pit: tuple[float, ...]
    pit_ks: float
    sharpness: float
    nll: float
    crps: float
    # √(mean error²)
    rmse: float
    # Spearman's, of σ and |error|
    rank_correlation: float
    by_variance: tuple[Group, ...]
    members: MemberCalibration | None
    # of the climatology, where one was given: its mean σ and its CRPS
    climatology_sharpness: float
    climatology_crps: float
    # 95 % intervals by name
    ci95: dict[str, tuple[float, float]] = field(default_factory=dict)
    n: int
    blocks: int

    def to_json(self) -> dict[str, Any]:
        """As plain values, null for NaN."""
        names = (
            *("coverage50", "coverage68", "coverage90", "coverage95", "spread_skill", "pit_ks", "sharpness", "nll"),
            *("crps", "rmse", "rank_correlation", "climatology_sharpness", "climatology_crps"),
        )
        return {name: finite(getattr(self, name)) for name in names} | {
            "pit": list(self.pit),
            "by_variance": [group.to_json() for group in self.by_variance],
            "members": None if self.members is None else self.members.to_json(),
            "ci95": {name: [finite(bound) for bound in bounds] for name, bounds in self.ci95.items()},
            "n": self.n,
            "blocks": self.blocks,
        }


class CalibrationTally:
    """Sums of a forecast's cells, block by block: memory does not grow with them."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Sums] = {}
        self._sample: list[tuple[np.ndarray, np.ndarray]] = []

    def add(
        self,
        mean: Float[np.ndarray, "*cells"],
        log_var: Float[np.ndarray, "*cells"],
        truth: Float[np.ndarray, "*cells"],
        members: Float[np.ndarray, "m *cells"] | None = None,
        climatology: tuple[Float[np.ndarray, "*_broadcast"], Float[np.ndarray, "*_broadcast"]] | None = None,
        *,
        block: int = 0,
        by: Float[np.ndarray, "*cells"] | None = None,
    ) -> None:
        """These cells; `block` is what the bootstrap keeps together (a sequence); `by` groups by another variance.

        `climatology` is a mean and a log-variance that broadcast to the cells.
        """
        mean, log_var, truth = (np.asarray(values, np.float64) for values in (mean, log_var, truth))
        sums = self._blocks.setdefault(block, _Sums())
        sums.add(mean, log_var, truth, by=log_var if by is None else np.asarray(by, np.float64))
        if members is not None:
            sums.add_members(np.asarray(members, np.float64), truth)
        if climatology is not None:
            usual, spread = (np.broadcast_to(np.asarray(part, np.float64), truth.shape) for part in climatology)
            sums.climate += (
                np.exp(0.5 * spread).sum(),
                crps_gaussian(usual, spread, truth).sum(),
                float(truth.size),
            )
        at = np.unique(np.linspace(0, truth.size - 1, min(_SAMPLE, truth.size)).astype(int))
        self._sample.append((log_var.reshape(-1)[at], np.abs(mean - truth).reshape(-1)[at]))

    def extend(self, other: CalibrationTally) -> None:
        """The cells of another tally, as if they had been added here after those that were."""
        for block, sums in other._blocks.items():
            self._blocks[block] = _Sums.of([self._blocks[block], sums]) if block in self._blocks else sums
        self._sample += other._sample

    def result(self, *, key: int = 0) -> Calibration:
        """All that was counted; `key` draws the bootstrap."""
        blocks = list(self._blocks.values())
        if not blocks:
            raise ValueError("expected cells to be added before a result is asked for, got none")
        total = _Sums.of(blocks)
        names = ("coverage90", "spread_skill", "crps", "nll", "sharpness")
        intervals: dict[str, tuple[float, float]] = {}
        if len(blocks) > 1:
            drawn = np.random.default_rng(key).multinomial(len(blocks), [1 / len(blocks)] * len(blocks), RESAMPLES)
            rows = drawn @ np.stack([one.plain for one in blocks])
            found = [_figures(row) for row in rows]
            for name in names:
                low, high = np.quantile([figures[name] for figures in found], [0.025, 0.975]).tolist()
                intervals[name] = low, high
        figures = _figures(total.plain)
        fine = np.cumsum(total.pit) / total.plain[0]
        variance, error = (np.concatenate(parts) for parts in zip(*self._sample, strict=True))
        varied = np.ptp(variance) > 0 and np.ptp(error) > 0
        climate = total.climate / total.climate[2] if total.climate[2] else np.full(3, np.nan)
        return Calibration(
            **figures,
            pit=tuple((total.pit.reshape(PIT_BINS, -1).sum(axis=1) / total.plain[0]).tolist()),
            pit_ks=float(np.abs(fine - np.arange(1, _FINE + 1) / _FINE).max()),
            rank_correlation=float(spearmanr(variance, error).statistic) if varied else float("nan"),
            by_variance=_groups(total.bins),
            members=total.of_members(),
            climatology_sharpness=float(climate[0]),
            climatology_crps=float(climate[1]),
            ci95=intervals,
            n=int(total.plain[0]),
            blocks=len(blocks),
        )


class _Sums:
    """What is added up over the cells of one block."""

    def __init__(self) -> None:
        # n, variance, error², σ, NLL, CRPS, hits of each level
        self.plain = np.zeros(6 + len(LEVELS))
        self.pit = np.zeros(_FINE)
        # per bin of the log-variance: n, variance, error², hits of 90 %
        self.bins = np.zeros((4, round(2 * _RANGE / _WIDTH)))
        # mean σ and CRPS of the climatology, and n
        self.climate = np.zeros(3)
        # of the members: fair CRPS, variance, error² of their mean, n
        self.plain_members = np.zeros(4)
        self.ranks = np.zeros(0, np.int64)

    def add(self, mean: Values, log_var: Values, truth: Values, *, by: Values) -> None:
        variance, wrong = np.exp(log_var), mean - truth
        deviation = np.sqrt(variance)
        z = -wrong / deviation
        hits = np.abs(z).reshape(-1)[None] <= _CENTRAL[:, None]
        nll = 0.5 * (log_var + z**2 + np.log(2 * np.pi))
        sums = (variance, wrong**2, deviation, nll, crps_gaussian(mean, log_var, truth))
        self.plain += [float(truth.size), *(part.sum() for part in sums), *hits.sum(axis=1)]
        at = np.minimum((ndtr(z) * _FINE).astype(np.int64), _FINE - 1).reshape(-1)
        self.pit += np.bincount(at, minlength=_FINE)
        group = np.clip(((by + _RANGE) / _WIDTH).astype(np.int64), 0, self.bins.shape[1] - 1).reshape(-1)
        for row, weight in zip(self.bins, (None, variance, wrong**2, hits[LEVELS.index(0.90)]), strict=True):
            weights = None if weight is None else weight.reshape(-1).astype(np.float64)
            row += np.bincount(group, weights, minlength=len(row))

    def add_members(self, members: Float[np.ndarray, "m *cells"], truth: Values) -> None:
        m = len(members)
        if self.ranks.size not in (0, m + 1):
            raise ValueError(f"expected {self.ranks.size - 1} members in every call, got {m}")
        spread = members.var(axis=0, ddof=1).sum() if m > 1 else 0.0
        wrong = ((members.mean(axis=0) - truth) ** 2).sum()
        self.plain_members += np.array([crps_ensemble(members, truth).sum(), spread, wrong, float(truth.size)])
        ranks = np.bincount((members < truth[None]).sum(axis=0).reshape(-1), minlength=m + 1)
        self.ranks = ranks + (self.ranks if self.ranks.size else 0)

    @classmethod
    def of(cls, blocks: Sequence[_Sums]) -> _Sums:
        """All of them together."""
        total = cls()
        for one in blocks:
            total.plain += one.plain
            total.pit += one.pit
            total.bins += one.bins
            total.climate += one.climate
            total.plain_members += one.plain_members
            total.ranks = one.ranks + (total.ranks if total.ranks.size else 0) if one.ranks.size else total.ranks
        return total

    def __getstate__(self) -> dict[str, Any]:
        """Most bins are empty: those need not travel."""
        at = np.flatnonzero(self.bins.any(axis=0))
        return {**vars(self), "bins": (self.bins.shape, at, self.bins[:, at])}

    def __setstate__(self, state: dict[str, Any]) -> None:
        shape, at, values = state["bins"]
        vars(self).update(state, bins=np.zeros(shape))
        self.bins[:, at] = values

    def of_members(self) -> MemberCalibration | None:
        if not self.plain_members[3]:
            return None
        crps, spread, wrong, n = self.plain_members.tolist()
        m = len(self.ranks) - 1
        return MemberCalibration(
            members=m,
            crps=crps / n,
            spread_skill=_ratio(np.sqrt((m + 1) / m * spread), np.sqrt(wrong)),
            ranks=tuple(self.ranks.tolist()),
        )


def _figures(plain: Float[np.ndarray, "sums"]) -> dict[str, float]:
    n, variance, wrong, deviation, nll, crps, *hits = plain.tolist()
    found = {f"coverage{round(100 * level)}": hit / n for level, hit in zip(LEVELS, hits, strict=True)}
    return found | {
        "spread_skill": _ratio(variance**0.5, wrong**0.5),
        "sharpness": deviation / n,
        "nll": nll / n,
        "crps": crps / n,
        "rmse": (wrong / n) ** 0.5,
    }


def _groups(bins: Float[np.ndarray, "four bins"]) -> tuple[Group, ...]:
    """Groups of about equally many cells, surest first; fewer where the variances do not differ."""
    count = np.cumsum(bins[0])
    # a bin belongs to the group in which its middle cell lies
    of: Int[np.ndarray, "bins"] = np.minimum((count - bins[0] / 2) / count[-1] * GROUPS, GROUPS - 1).astype(int)
    found = []
    for number in range(GROUPS):
        n, variance, wrong, hits = bins[:, of == number].sum(axis=1).tolist()
        if n:
            found.append(Group(spread=(variance / n) ** 0.5, skill=(wrong / n) ** 0.5, coverage90=hits / n, n=round(n)))
    return tuple(found)


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0 else float("nan")
