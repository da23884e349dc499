"""Validation of a step by the laws: a verdict with its reason, or with `strict` an exception.

First law: the total may change by the source and the outflow only, to a relative `tolerance`. Second law: spatial
entropy may not fall by more than `tolerance`; it is a law of closed domains without source only
(`DomainSpec.second_law`), so that elsewhere a fall is worth a warning in the log and no more.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from jaxtyping import Real

from nvp.atlas.entropy import spatial_entropy
from nvp.thermo.violations import ENTROPY_TOLERANCE, Kind, Limits, ThermodynamicViolation, Violation, measures

Map = Real[np.ndarray, "h w"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """True where the law holds; what was measured, against which limit, and why in words."""

    holds: bool
    kind: Kind
    value: float
    limit: float
    reason: str

    def __bool__(self) -> bool:
        return self.holds


def validate_energy_conservation(
    before: Map,
    after: Map,
    tolerance: float = 0.05,
    *,
    source: float = 0.0,
    outflow: float = 0.0,
    strict: bool = False,
    where: str = "",
) -> Verdict:
    """Whether |Σafter − Σbefore − source + outflow| <= tolerance · Σbefore; `source`, `outflow` are totals of the step.

    Cells that are not finite or below 0 are violations whatever the totals say. Raises `ThermodynamicViolation` where
    `strict`.
    """
    verdict = _judge(before, after, Limits(max_energy_drift=tolerance), heat=source, outflow=outflow)
    return _judged(verdict, strict, where)


def validate_entropy_increase(
    before: Map, after: Map, tolerance: float = ENTROPY_TOLERANCE, *, strict: bool = False, where: str = ""
) -> Verdict:
    """Whether S(after) >= S(before) − tolerance · ln(H·W); a fall is logged, or where `strict` raised."""
    verdict = _judge(before, after, Limits(min_entropy_change=-tolerance))
    if not verdict and verdict.kind == "entropy" and not strict:
        _log.warning("%s", f"{where}: {verdict.reason}" if where else verdict.reason)
    return _judged(verdict, strict, where)


def entropy_change(before: Map, after: Map) -> float:
    """S(after) − S(before) in nats."""
    old, new = (spatial_entropy(np.asarray(field, float)[..., None]) for field in (before, after))
    return float(new - old)


def _judge(before: Map, after: Map, limits: Limits, *, heat: float = 0.0, outflow: float = 0.0) -> Verdict:
    """The first law that is broken, or the one that was asked for."""
    one, other = (np.asarray(field, np.float64)[..., None] for field in (before, after))
    found = list(measures(one, other, limits=limits, heat=heat, outflow=outflow))
    said = next((measure for measure in found if measure.broken), found[-1])
    violation = Violation(kind=said.kind, value=float(said.value), limit=said.limit)
    return Verdict(not said.broken, said.kind, violation.value, said.limit, violation.reason)


def _judged(verdict: Verdict, strict: bool, where: str) -> Verdict:
    if strict and not verdict:
        raise ThermodynamicViolation(verdict.kind, verdict.value, verdict.limit, where)
    return verdict
