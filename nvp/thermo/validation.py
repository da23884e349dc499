"""Validation of a step by the laws: a verdict with its reason, or with `strict` an exception.

First law: the total may change by the source and the outflow only, to a relative `tolerance`. Second law: spatial
entropy may not fall by more than `tolerance`; it is a law of closed domains without source only
(`DomainSpec.second_law`), so that elsewhere a fall is worth a warning in the log and no more.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Real

from nvp.atlas.entropy import spatial_entropy
from nvp.errors import FieldError

Law = Literal["energy", "entropy", "not finite", "negative"]
Map = Real[np.ndarray, "h w"]
# of ln(H·W): round-off of float32 fields
ENTROPY_TOLERANCE = 1e-6

_log = logging.getLogger(__name__)


class ThermodynamicViolation(FieldError):
    """A map or step that breaks a law: `kind` of law, measured `value`, allowed `limit` and `where`."""

    exit_code = 1

    def __init__(self, kind: Law, value: float, limit: float, *, where: str = "", reason: str = "") -> None:
        super().__init__(
            "THERMODYNAMIC_VIOLATION",
            f"{where}: {reason}" if where else reason,
            next_step="Check the data, or state its source and outflow.",
        )
        self.kind = kind
        self.value = value
        self.limit = limit
        self.where = where


@dataclass(frozen=True, slots=True)
class Verdict:
    """True where the law holds; what was measured, against which limit, and why in words."""

    holds: bool
    kind: Law
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
    broken = _no_energy(before=before, after=after)
    if broken is None:
        had = float(np.sum(before, dtype=float))
        gained = float(np.sum(after, dtype=float)) - had - source + outflow
        # of a map that holds nothing, any gain is too much
        value = abs(gained) / had if had > 0 else (0.0 if gained == 0 else float("inf"))
        reason = f"expected a change of Σ by at most {tolerance:.3g} of it beyond source and outflow, got {value:.3g}."
        broken = Verdict(bool(value <= tolerance), "energy", value, tolerance, reason)
    return _judged(broken, strict, where)


def validate_entropy_increase(
    before: Map, after: Map, tolerance: float = ENTROPY_TOLERANCE, *, strict: bool = False, where: str = ""
) -> Verdict:
    """Whether S(after) >= S(before) − tolerance · ln(H·W); a fall is logged, or where `strict` raised."""
    broken = _no_energy(before=before, after=after)
    if broken is None:
        change, limit = entropy_change(before, after), -tolerance * float(np.log(np.size(after)))
        reason = f"expected a change of spatial entropy of at least {limit:.3g} nats, got {change:.3g}."
        broken = Verdict(change >= limit, "entropy", change, limit, reason)
        if not broken and not strict:
            _log.warning("%s", f"{where}: {reason}" if where else reason)
    return _judged(broken, strict, where)


def entropy_change(before: Map, after: Map) -> float:
    """S(after) − S(before) in nats."""
    old, new = (spatial_entropy(np.asarray(field, float)[..., None]) for field in (before, after))
    return float(new - old)


def _no_energy(**fields: Map) -> Verdict | None:
    """The verdict on the first map that is no energy; None where all are."""
    for name, field in fields.items():
        if count := int((~np.isfinite(field)).sum()):
            return Verdict(False, "not finite", float(count), 0.0, f"expected finite cells {name}, got {count} others.")
        if (lowest := float(np.min(field))) < 0:
            return Verdict(False, "negative", lowest, 0.0, f"expected cells >= 0 {name}, got {lowest:.3g}.")
    return None


def _judged(verdict: Verdict, strict: bool, where: str) -> Verdict:
    if strict and not verdict:
        raise ThermodynamicViolation(verdict.kind, verdict.value, verdict.limit, where=where, reason=verdict.reason)
    return verdict
