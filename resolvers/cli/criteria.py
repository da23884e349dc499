"""Criteria of a training: what its checkpoint must reach on the test part, each beside what persistence has there.

Fidelity > 0.90, RMSE < 0.1 of the field's own rms (which is RMSE < 0.1 of fields of unit size), entropy agreement >
0.85. The last two are reached by predicting no change at all: only the first says that something was learnt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One bound."""

    name: str
    # "> 0.9" or "< 0.1"
    bound: str
    value: float
    persistence: float | None
    met: bool

    def text(self) -> str:
        """A line for people."""
        beside = "" if self.persistence is None else f"  (persistence {self.persistence:.4f})"
        return f"{'met   ' if self.met else 'missed'} {self.name:18} {self.value:.4f} {self.bound}{beside}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """All of them, and how many pairs they were judged on."""

    n: int
    each: tuple[Criterion, ...]

    @property
    def met(self) -> bool:
        """Every one."""
        return all(one.met for one in self.each)

    def to_json(self) -> dict[str, Any]:
        return {"met": self.met, "n": self.n, "each": [asdict(one) for one in self.each]}

    def text(self) -> str:
        """Lines for people."""
        return "\n".join([*(one.text() for one in self.each), f"on {self.n} pairs of the test part"])


def judged(scores: Mapping[str, Any]) -> Criteria:
    """The criteria on what an evaluation says; those that do not apply to the field are left out."""
    metrics: Mapping[str, Mapping[str, float | None]] = scores.get("metrics", {})
    fidelity = scores["fidelity"]
    each = [_criterion("fidelity", fidelity["pooled"], 0.0, above=0.90)]
    for name, bound in (("nrmse", {"below": 0.1}), ("entropy_agreement", {"above": 0.85})):
        if (found := metrics.get(name)) is not None:
            each.append(_criterion(name, found["model"], found["persistence"], **bound))
    return Criteria(n=fidelity["n"], each=tuple(each))


def _criterion(
    name: str, value: float | None, persistence: float | None, *, above: float | None = None, below: float | None = None
) -> Criterion:
    number = float("nan") if value is None else value  # nothing was scored: missed
    met = number > above if above is not None else below is not None and number < below
    bound = f"> {above:g}" if above is not None else f"< {below:g}"
    return Criterion(name=name, bound=bound, value=number, persistence=persistence, met=met)
