"""What an experiment hands back: a hypothesis, effects with their intervals, and a verdict that may say no.

An effect is a mean over paired rng seeds with a bootstrap interval, a proportion with the exact binomial one, or a
quotient of sums; its interval decides, not its sign: where it holds 0 (or whatever it is compared with), nothing was
shown.

Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13; Clopper & Pearson, Biometrika 26 (1934).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.stats import binomtest

Report = Callable[[str, float, str], None]
"""Called with the name of a part, the share of it that is done, and a line for people."""

Verdict = Literal["supported", "null", "contradicted"]

RESAMPLES = 9999
_BOOTSTRAP = f"95 % bootstrap over paired seeds, {RESAMPLES} resamples"
_EXACT = "95 % exact binomial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A measured number; `ci95` is None where there is nothing to draw again from."""

    name: str
    estimate: float
    ci95: tuple[float, float] | None
    n: int
    interval: str

    def text(self) -> str:
        """A line for people."""
        between = "" if self.ci95 is None else f"  [{self.ci95[0]:.4g}, {self.ci95[1]:.4g}]"
        return f"{self.name}: {self.estimate:.4g}{between}  (n = {self.n})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What must hold for the figures to mean anything; a command whose checks fail exits with 1."""

    name: str
    value: float
    bound: str
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """All that an experiment found."""

    hypothesis: str
    verdict: Verdict
    # why, in a sentence with no number in it that `effects` do not have
    reading: str
    # the first is what the verdict is about
    effects: Sequence[Effect]
    # what each arm (baseline, ablation, level of a setting) measured
    arms: Mapping[str, Sequence[Effect]] = field(default_factory=dict)
    checks: Sequence[Check] = ()
    # rows for a table: of gates, of a relaxation
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    # numbers that only a picture needs
    curves: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether all checks are met."""
        return all(each.met for each in self.checks)

    def to_json(self) -> dict[str, Any]:
        """All but the tables."""
        return {
            "hypothesis": self.hypothesis,
            "verdict": self.verdict,
            "reading": self.reading,
            "effects": [asdict(each) for each in self.effects],
            "arms": {name: [asdict(each) for each in arm] for name, arm in self.arms.items()},
            "checks": [asdict(each) for each in self.checks],
            "passed": self.passed,
            "curves": self.curves,
        }


def mean_effect(name: str, values: Any, *, seed: int) -> Effect:
    """The mean of values, one for each paired seed, with its bootstrap interval."""
    x = np.asarray(values, np.float64).ravel()
    return _bootstrapped(name, lambda index: x[index].mean(axis=-1), x.size, seed)


def quotient_effect(name: str, above: Any, below: Any, *, seed: int) -> Effect | None:
    """Σ above / Σ below over paired seeds; None where Σ below is 0."""
    a, b = np.asarray(above, np.float64), np.asarray(below, np.float64)
    if not b.sum():
        return None

    def of(index: np.ndarray) -> Any:
        sums = b[index].sum(axis=-1)
        return np.divide(a[index].sum(axis=-1), sums, out=np.full(sums.shape, np.nan), where=sums != 0)

    return _bootstrapped(name, of, a.size, seed)


def share_effect(name: str, hits: Any) -> Effect:
    """How many of the seeds did, with the exact binomial interval."""
    did = np.asarray(hits, np.bool_).ravel()
    between = binomtest(int(did.sum()), did.size).proportion_ci(method="exact")
    return Effect(
        name=name,
        estimate=float(did.mean()),
        ci95=(float(between.low), float(between.high)),
        n=did.size,
        interval=_EXACT,
    )


def exact_effect(name: str, value: float, *, n: int = 1) -> Effect:
    """A number that is not drawn from anything."""
    return Effect(name=name, estimate=float(value), ci95=None, n=n, interval="none: nothing is random here")


def verdict(effect: Effect, *, over: float = 0.0) -> Verdict:
    """`supported` where the whole interval lies above `over`, `contradicted` where it lies below, else `null`."""
    low, high = effect.ci95 or (effect.estimate, effect.estimate)
    return "supported" if low > over else "contradicted" if high < over else "null"


def joint(*verdicts: Verdict) -> Verdict:
    """Of a hypothesis with several parts: contradicted by one of them, supported only by all."""
    return "contradicted" if "contradicted" in verdicts else "null" if "null" in verdicts else "supported"


def _bootstrapped(name: str, statistic: Callable[[np.ndarray], Any], count: int, seed: int) -> Effect:
    rng = np.random.default_rng((seed, count))
    drawn = statistic(rng.integers(0, count, (RESAMPLES, count)))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Effect(
        name=name,
        estimate=float(statistic(np.arange(count))),
        ci95=(float(low), float(high)),
        n=count,
        interval=_BOOTSTRAP,
    )
