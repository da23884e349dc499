"""What an evaluation says: a headline at lead 1 over all pairs, each lead of the rollouts, and what spans leads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nvp.prediction.forecaster import Forcing
from nvp.thermo.probabilistic import Calibration
from nvp.thermo.scores import Score, finite

BASELINES = ("persistence", "linear_extrapolation", "ridge")
KNOWN_PHYSICS = ("upwind", "frozen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """One law of physics: how far the predictions break it, and how far the data themselves do (NaN: unknown)."""

    model: float
    data: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A measure of the model and of persistence on the same pairs; NaN where one has no value."""

    model: float
    persistence: float

    def to_json(self) -> dict[str, float | None]:
        return {"model": finite(self.model), "persistence": finite(self.persistence)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """All scores of one lead, against the field of time t, so that persistence is 0 at every lead."""

    lead: int
    forcing: Forcing
    fidelity: Score
    # by name (`BASELINES` and `KNOWN_PHYSICS`), on the same pairs; None where one does not apply
    baselines: Mapping[str, Score | None]
    # fidelity of the best possible prediction, where the data's noise is known
    noise_ceiling: Score | None = None
    # mean over pairs
    vrmse: float
    persistence_vrmse: float
    # by name: `nvp.prediction.measures`
    metrics: Mapping[str, Beside] = field(default_factory=dict)
    # largest |residual of the first law| of this step relative to Σ|E|; None for signed fields, and where Q is unknown
    first_law: Law | None = None
    # share of pairs whose spatial entropy falls in this step; None where the domain has no second law
    second_law: Law | None = None
    # share of fields with a negative cell; None for signed fields
    negative: Law | None = None
    # None where the forecaster claims nothing about its error
    calibration: Calibration | None = None

    @property
    def known_physics_void(self) -> bool:
        """A reference solver that is worse than persistence is no reference."""
        scores = [self.baselines.get(name) for name in KNOWN_PHYSICS]
        return any(score is not None and score.pooled < 0 for score in scores)

    def to_json(self) -> dict[str, Any]:
        """Plain values; null for what does not apply."""
        scores = {name: None if score is None else score.to_json() for name, score in self.baselines.items()}
        linear = self.baselines.get("linear_extrapolation")
        return {
            "lead": self.lead,
            "forcing": self.forcing,
            "fidelity": self.fidelity.to_json(),
            "baselines": {
                **{name: scores.get(name) for name in BASELINES},
                "known_physics": {name: scores.get(name) for name in KNOWN_PHYSICS},
                "noise_ceiling": None if self.noise_ceiling is None else self.noise_ceiling.to_json(),
            },
            "known_physics_void": self.known_physics_void,
            "linear_fidelity": None if linear is None else finite(linear.pooled),
            "vrmse": finite(self.vrmse),
            "persistence_vrmse": finite(self.persistence_vrmse),
            **{name: finite(self.metrics[name].model) for name in LOOSER if name in self.metrics},
            "metrics": {name: beside.to_json() for name, beside in self.metrics.items()},
            "conservation": _law(self.first_law, "residual"),
            "second_law": _law(self.second_law, "violations"),
            "negative": _law(self.negative, "share"),
            "calibration": None if self.calibration is None else self._calibration(self.calibration),
        }

    def _calibration(self, found: Calibration) -> dict[str, Any]:
        # a forecast of one value for certain has its absolute error as CRPS
        error = self.metrics.get("mae")
        return found.to_json() | {"persistence_crps": None if error is None else finite(error.persistence)}


# the looser fidelities, which stand beside the headline under their own names
LOOSER = ("total_energy_fidelity", "field_fidelity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One number for several leads of the rollouts: of the model and, by name, of what it is compared with."""

    # vrmse: their mean, over The Well's half-open window of steps counted from 0, such as 6:12 (leads 7 … 12);
    # nrmse: APEBench's, the geometric mean over the leads
    measure: str
    window: str
    first: int
    last: int
    forcing: Forcing
    model: float
    baselines: Mapping[str, float | None]

    def to_json(self) -> dict[str, Any]:
        return {
            "window": self.window,
            "first_lead": self.first,
            "last_lead": self.last,
            "forcing": self.forcing,
            self.measure: finite(self.model),
            f"persistence_{self.measure}": _number(self.baselines.get("persistence")),
            "baselines": {name: _number(value) for name, value in self.baselines.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What becomes of ΣE in a long rollout under frozen forcing, from the last frames, where no truth is needed."""

    steps: int
    starts: int
    # largest |ΣP − ΣE − Σ∫Q dt + Σ outflow|/ΣE after all steps: in an isolated domain the total's own drift
    total: float
    # largest gain of a single step that its account does not explain, relative to ΣE
    gain: float
    # smallest cell of all, relative to the mean of the start
    least: float
    # largest cell of all, relative to the largest of the start
    largest: float
    # share of steps in which the spatial entropy falls; NaN where the domain has no second law
    entropy_falls: float

    def to_json(self) -> dict[str, Any]:
        values = ("total", "gain", "least", "largest", "entropy_falls")
        return {"steps": self.steps, "starts": self.starts} | {name: finite(getattr(self, name)) for name in values}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """The pairs of lead 1, one by one, in order of series and start."""

    # number of the series, position of frame t in it
    series: Int[np.ndarray, "n"]
    start: Int[np.ndarray, "n"]
    # NaN where the pair is static
    fidelity: Float[np.ndarray, "n"]
    vrmse: Float[np.ndarray, "n"]
    persistence_vrmse: Float[np.ndarray, "n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Scores of one forecaster, or the mean over several that differ in their rng seed only."""

    # lead 1 over all pairs
    headline: Lead
    # leads 1 … horizon under each forcing, all from the same starts
    rollout: tuple[Lead, ...] = ()
    # windows of leads, as The Well and APEBench take them
    spans: tuple[Span, ...] = ()
    drift: Drift | None = None
    pairs: Pairs | None = None
    # rng seeds in the mean, and the pooled fidelity of each
    seeds: int = 1
    per_seed: tuple[float, ...] = ()

    @property
    def fidelity(self) -> Score:
        """The headline."""
        return self.headline.fidelity

    @property
    def baselines(self) -> Mapping[str, Score | None]:
        """Beside the headline."""
        return self.headline.baselines

    @property
    def vrmse(self) -> float:
        """Mean over the pairs of lead 1."""
        return self.headline.vrmse

    @property
    def metrics(self) -> Mapping[str, Beside]:
        """Of lead 1."""
        return self.headline.metrics

    def at(self, lead: int, forcing: Forcing = "frozen") -> Lead | None:
        """One lead of the rollouts; None where it was not scored."""
        return next((one for one in self.rollout if (one.lead, one.forcing) == (lead, forcing)), None)

    def to_json(self) -> dict[str, Any]:
        """Plain values; null for what does not apply."""
        first = self.headline.to_json()
        del first["lead"], first["forcing"]
        return first | {
            "fidelity": self.fidelity.to_json() | {"seeds": self.seeds},
            "rollout": [lead.to_json() for lead in self.rollout],
            "windows": [span.to_json() for span in self.spans if span.measure == "vrmse"],
            "nrmse_gmean": [span.to_json() for span in self.spans if span.measure == "nrmse"],
            "drift": None if self.drift is None else self.drift.to_json(),
            "seeds": self.seeds,
            "per_seed": [finite(value) for value in self.per_seed],
        }


def _law(law: Law | None, what: str) -> dict[str, float | None] | None:
    return None if law is None else {what: finite(law.model), f"data_{what}": finite(law.data)}


def _number(value: float | None) -> float | None:
    return None if value is None else finite(value)
