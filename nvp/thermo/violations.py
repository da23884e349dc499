"""What breaks a law: the measures, their limits, and the violations that follow.

A step takes E to P while Q adds ∫ΣQ dt (heat) and the edges let a net outflow go. With ΔS the change of spatial entropy
and N the number of cells:

    not finite      a cell is NaN or infinite: never allowed, and all that is said of such a step
    negative        a cell of an energy is below 0: never allowed
    energy          |ΣP − ΣE − heat + outflow| / Σ|E|  at most a relative budget (first law)
    energy drift    the same from a rollout's start to a later lead: no perpetual motion, over any horizon
    entropy         ΔS at least a share of ln N, where the second law applies (`DomainSpec.second_law`)
    entropy bound   S(P) at most so many nats, or a share of ln N, which is the largest there is

Spatial entropy is the spread of a map over its grid, not a thermodynamic state: it cannot fall in a closed domain
without source that an incompressible flow stirs and diffusion smooths, and elsewhere no law forbids it. The data's own
rate belongs beside a model's: a correct model of data that violate a law violates it as often.

One set of formulas serves NumPy (on the host, in float64) and JAX (inside compiled functions, in the field's dtype).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Real, Shaped

from nvp.atlas.entropy import spatial_entropy
from nvp.dynamics.domain import DomainSpec
from nvp.errors import FieldError

Kind = Literal["not finite", "negative", "energy", "energy drift", "entropy", "entropy bound"]

# entropy may fall by this share of its largest value ln N before it counts: round-off of float32 fields
ENTROPY_TOLERANCE = 1e-6
# of Σ|E|: what a conserving step of float32 fields may miss, and what a rollout of any length may
CLOSURE = 1e-5
DRIFT = 1e-4

_REASONS: dict[str, str] = {
    "not finite": "expected finite cells, got {value:.0f} others.",
    "negative": "expected cells >= 0, got {value:.3g}.",
    "energy": "expected a change of Σ by at most {limit:.3g} of it beyond source and outflow, got {value:.3g}.",
    "energy drift": "expected Σ within {limit:.3g} of its account since the start, got {value:.3g}.",
    "entropy": "expected a change of spatial entropy of at least {limit:.3g} nats, got {value:.3g}.",
    "entropy bound": "expected a spatial entropy of at most {limit:.4g} nats, got {value:.4g}.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Which laws are held to what; None where one is not. Cells that are not finite are never allowed."""

    # largest relative change of the total beyond heat and outflow
    max_energy_drift: float | None = None
    # least change of spatial entropy as a share of ln N; below 0 lets it fall
    min_entropy_change: float | None = None
    # largest spatial entropy: in nats, which means another thing on each grid, or as a share of ln N
    max_entropy: float | None = None
    max_entropy_share: float | None = None
    # the field may be negative
    signed: bool = False

    def __post_init__(self) -> None:
        for name in ("max_energy_drift", "max_entropy", "max_entropy_share"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise FieldError("BAD_LIMIT", f"expected {name} >= 0, got {value}.", next_step="None checks nothing.")
        if self.min_entropy_change is not None and not np.isfinite(self.min_entropy_change):
            raise FieldError("BAD_LIMIT", f"expected a finite min_entropy_change, got {self.min_entropy_change}.")
        if self.max_entropy is not None and self.max_entropy_share is not None:
            raise FieldError(
                "BAD_LIMIT",
                "expected a largest entropy in nats or as a share of ln N, got both.",
                next_step="A share means the same on every grid.",
            )

    @classmethod
    def of(cls, spec: DomainSpec, *, heat_known: bool) -> Limits:
        """The laws of a domain; its account can be held only where what the source adds is known."""
        if spec.signed:
            return cls(signed=True)
        account = spec.closed or spec.source_model == "none" or heat_known
        return cls(
            max_energy_drift=CLOSURE if account else None,
            min_entropy_change=-ENTROPY_TOLERANCE if spec.second_law else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One law of many steps: what was measured of each, the common limit, and which steps break it."""

    kind: Kind
    value: Shaped[Any, "*batch"]
    limit: float
    broken: Bool[Any, "*batch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One law that one step breaks: by how much, and where."""

    kind: Kind
    # see the table above; nats for entropies
    value: float
    limit: float
    # place in a batch, or whatever names the step
    where: str = ""
    # of a prediction: steps after its start, and the ensemble's member (None: the mean)
    lead: int | None = None
    member: int | None = None

    @property
    def reason(self) -> str:
        """Expected and got."""
        return _REASONS[self.kind].format(value=self.value, limit=self.limit)

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}" if self.where else self.reason


class ThermodynamicViolation(FieldError):
    """A map or step that breaks a law: `kind` of law, measured `value`, allowed `limit` and `where`."""

    exit_code = 1

    def __init__(self, kind: Kind, value: float, limit: float, where: str = "") -> None:
        found = Violation(kind=kind, value=value, limit=limit, where=where)
        super().__init__(
            "THERMODYNAMIC_VIOLATION", str(found), next_step="Check the data, or state its source and outflow."
        )
        self.kind = kind
        self.value = value
        self.limit = limit
        self.where = where


def measures(
    before: Float[Any, "*batch h w c"],
    after: Float[Any, "*batch h w c"],
    *,
    limits: Limits,
    heat: Any = 0.0,
    outflow: Any = 0.0,
) -> Iterator[Measure]:
    """Every law that `limits` hold steps to; `heat` and `outflow` are totals over the step, one or one per step."""
    xp = after.__array_namespace__()
    fields = (-3, -2, -1)
    others = xp.sum(~xp.isfinite(before), axis=fields) + xp.sum(~xp.isfinite(after), axis=fields)
    whole = others == 0
    # what is no number has been counted; nothing else is measured of such a step
    before, after = (xp.where(xp.isfinite(field), field, xp.zeros_like(field)) for field in (before, after))
    yield Measure(kind="not finite", value=others, limit=0.0, broken=~whole)
    if not limits.signed:
        lowest = xp.minimum(xp.min(before, axis=fields), xp.min(after, axis=fields))
        yield Measure(kind="negative", value=lowest, limit=0.0, broken=whole & (lowest < 0))
    if limits.max_energy_drift is not None:
        # the sum of differences rounds less than the difference of sums
        drift = _share(_total(after - before) - heat + outflow, _total(xp.abs(before)))
        # a measure that is NaN is within no limit
        broken = whole & ~(drift <= limits.max_energy_drift)
        yield Measure(kind="energy", value=drift, limit=limits.max_energy_drift, broken=broken)
    most = float(np.log(np.prod(after.shape[-3:])))
    if limits.min_entropy_change is not None:
        change, least = _entropy(after) - _entropy(before), limits.min_entropy_change * most
        yield Measure(kind="entropy", value=change, limit=least, broken=whole & ~(change >= least))
    bound = limits.max_entropy if limits.max_entropy_share is None else limits.max_entropy_share * most
    if bound is not None:
        # a uniform field has the largest entropy but for round-off
        entropy, slack = _entropy(after), ENTROPY_TOLERANCE * most
        yield Measure(kind="entropy bound", value=entropy, limit=bound, broken=whole & ~(entropy <= bound + slack))


def violations(found: Measure, *, where: str = "") -> tuple[Violation, ...]:
    """The steps that break one law, each with its place in the batch."""
    broken, value = np.asarray(found.broken), np.asarray(found.value)
    return tuple(
        Violation(
            kind=found.kind,
            value=float(value[place]),
            limit=found.limit,
            where=f"{where}[{', '.join(map(str, place))}]" if place else where,
        )
        for place in map(tuple, np.argwhere(broken).tolist())
    )


def check_prediction(
    state: Real[np.ndarray, "h w c"],
    heat: Float[np.ndarray, "s"] | None,
    outflow: Float[np.ndarray, "s"],
    predicted: Real[np.ndarray, "s h w c"],
    spec: DomainSpec,
    *,
    member: int | None = None,
) -> tuple[Violation, ...]:
    """What a rollout from `state` violates, in order of lead: each step by itself, and its account since the start.

    `heat` is what the source adds in each step, as it was known to the forecaster (None: it is not known, so that only
    a closed domain has an account); `outflow` is what leaves through the edges.
    """
    limits = Limits.of(spec, heat_known=heat is not None)
    start, states = np.asarray(state, np.float64), np.asarray(predicted, np.float64)
    added = np.zeros(len(states)) if heat is None else np.asarray(heat, np.float64)
    left = np.asarray(outflow, np.float64)
    before = np.concatenate([start[None], states[:-1]])
    found = list(measures(before, states, limits=limits, heat=added, outflow=left))
    if limits.max_energy_drift is not None:
        gained = states.sum(axis=(1, 2, 3)) - start.sum() - np.cumsum(added - left)
        drift = np.asarray(_share(gained, np.abs(start).sum()))
        later = (np.arange(len(states)) > 0) & np.isfinite(states).all(axis=(1, 2, 3))
        found.append(Measure(kind="energy drift", value=drift, limit=DRIFT, broken=later & ~(drift <= DRIFT)))
    broken = [
        Violation(
            kind=one.kind,
            value=float(one.value[k]),
            limit=one.limit,
            where=f"lead {k + 1}" if member is None else f"lead {k + 1} of member {member}",
            lead=k + 1,
            member=member,
        )
        for one in found
        for k in np.flatnonzero(one.broken).tolist()
    ]
    return tuple(sorted(broken, key=lambda violation: violation.lead or 0))


def broken_laws(
    before: Real[np.ndarray, "n h w c"],
    predicted: Real[np.ndarray, "n h w c"],
    spec: DomainSpec,
    *,
    heat: Float[np.ndarray, "n"] | None,
    outflow: Float[np.ndarray, "n"] | float = 0.0,
) -> dict[Kind, Bool[np.ndarray, "n"]]:
    """By law of the domain: which of n single steps break it. Sums of these are an evaluation's counts."""
    found = measures(
        np.asarray(before, np.float64),
        np.asarray(predicted, np.float64),
        limits=Limits.of(spec, heat_known=heat is not None),
        heat=0.0 if heat is None else heat,
        outflow=outflow,
    )
    return {one.kind: np.asarray(one.broken) for one in found}


def second_law_violated(
    after: Float[np.ndarray, "n h w c"], before: Float[np.ndarray, "n h w c"]
) -> Bool[np.ndarray, "n"]:
    """Whether the spatial entropy of each field fell; a field that is no energy counts as violating."""
    limits = Limits(min_entropy_change=-ENTROPY_TOLERANCE)
    found = measures(before.astype(np.float64), after.astype(np.float64), limits=limits)
    violated: Bool[np.ndarray, "n"] = np.any([one.broken for one in found], axis=0)
    return violated


def negative(field: Float[np.ndarray, "n h w c"]) -> Bool[np.ndarray, "n"]:
    """Whether any cell of each field is negative."""
    below: Bool[np.ndarray, "n"] = field.min(axis=(1, 2, 3)) < 0
    return below


def _total(field: Float[Any, "*batch h w c"]) -> Float[Any, "*batch"]:
    """Σ over the cells, axis by axis: in float32 that rounds less than one long sum."""
    xp = field.__array_namespace__()
    return xp.sum(xp.sum(xp.sum(field, axis=-1), axis=-1), axis=-1)


def _share(gained: Any, size: Any) -> Any:
    """|gained| / size; of a map that holds nothing, any gain is too much."""
    gained, size = (value if hasattr(value, "__array_namespace__") else np.asarray(value) for value in (gained, size))
    xp = gained.__array_namespace__()
    some = xp.where(size > 0, size, xp.ones_like(size))
    return xp.where(size > 0, xp.abs(gained) / some, xp.where(gained == 0, 0.0, float("inf")))


def _entropy(field: Float[Any, "*batch h w c"]) -> Float[Any, "*batch"]:
    """Of what is >= 0: a negative cell is a violation by itself."""
    xp = field.__array_namespace__()
    return spatial_entropy(xp.maximum(field, xp.zeros_like(field)))
