"""What an evaluation says, and how several of them (one per rng seed) become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nvp.errors import FieldError
from nvp.prediction.forecaster import Forcing
from nvp.thermo.scores import Score, average, finite

BASELINES = ("persistence", "linear_extrapolation", "ridge")
KNOWN_PHYSICS = ("upwind", "frozen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """One law of physics: how far the predictions break it, and how far the data themselves do (NaN: unknown)."""

    model: float
    data: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """Skill of one step of the rollout, against the field of time t."""

    lead: int
    forcing: Forcing
    fidelity: Score
    vrmse: float
    persistence_vrmse: float

    def to_json(self) -> dict[str, Any]:
        return {
            "lead": self.lead,
            "forcing": self.forcing,
            "fidelity": self.fidelity.to_json(),
            "vrmse": finite(self.vrmse),
            "persistence_vrmse": finite(self.persistence_vrmse),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """The pairs of lead 1, one by one: what the graph writes on its links."""

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

    # the headline, at lead 1
    fidelity: Score
    # by name (`BASELINES` and `KNOWN_PHYSICS`), on the same pairs; None where one does not apply
    baselines: Mapping[str, Score | None]
    # fidelity of the best possible prediction, where the data's noise is known
    noise_ceiling: Score | None = None
    # mean over pairs at lead 1
    vrmse: float
    persistence_vrmse: float
    total_energy_fidelity: float
    field_fidelity: float
    # largest |residual of the first law| relative to Σ|E|; None for signed fields, and where the source is unknown
    first_law: Law | None = None
    # share of pairs whose spatial entropy falls; None where the domain has no second law
    second_law: Law | None = None
    # share of fields with a negative cell; None for signed fields
    negative: Law | None = None
    # leads 1 … horizon for each forcing
    rollout: tuple[Lead, ...] = ()
    pairs: Pairs | None = None
    # rng seeds in the mean, and the pooled fidelity of each
    seeds: int = 1
    per_seed: tuple[float, ...] = ()

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
            "fidelity": self.fidelity.to_json() | {"seeds": self.seeds},
            "baselines": {
                **{name: scores.get(name) for name in BASELINES},
                "known_physics": {name: scores.get(name) for name in KNOWN_PHYSICS},
                "noise_ceiling": None if self.noise_ceiling is None else self.noise_ceiling.to_json(),
            },
            "known_physics_void": self.known_physics_void,
            "linear_fidelity": None if linear is None else finite(linear.pooled),
            "vrmse": finite(self.vrmse),
            "persistence_vrmse": finite(self.persistence_vrmse),
            "total_energy_fidelity": finite(self.total_energy_fidelity),
            "field_fidelity": finite(self.field_fidelity),
            "conservation": _law(self.first_law, "residual"),
            "second_law": _law(self.second_law, "violations"),
            "negative": _law(self.negative, "share"),
            "rollout": [lead.to_json() for lead in self.rollout],
            "seeds": self.seeds,
            "per_seed": [finite(value) for value in self.per_seed],
        }


def combine(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The mean over forecasters that differ in their rng seed and were scored on the same pairs."""
    first = evaluations[0] if evaluations else None
    if first is None or any(
        (one.fidelity.n, one.fidelity.static, len(one.rollout))
        != (first.fidelity.n, first.fidelity.static, len(first.rollout))
        for one in evaluations
    ):
        raise FieldError(
            "BAD_SEEDS",
            "expected evaluations of the same pairs and leads, got different ones.",
            next_step="Evaluate all checkpoints on the same series.",
        )
    if len(evaluations) == 1:
        return first

    def mean(name: str) -> float:
        return float(np.mean([getattr(one, name) for one in evaluations]))

    def law(name: str) -> Law | None:
        laws = [found for one in evaluations if (found := getattr(one, name)) is not None]
        return Law(model=float(np.mean([each.model for each in laws])), data=laws[0].data) if laws else None

    return replace(
        first,
        fidelity=average([one.fidelity for one in evaluations]),
        # the ridge of a seed learnt from the same series as all others: it is the same score
        vrmse=mean("vrmse"),
        total_energy_fidelity=mean("total_energy_fidelity"),
        field_fidelity=mean("field_fidelity"),
        first_law=law("first_law"),
        second_law=law("second_law"),
        negative=law("negative"),
        rollout=tuple(
            replace(
                leads[0],
                fidelity=average([lead.fidelity for lead in leads]),
                vrmse=float(np.mean([lead.vrmse for lead in leads])),
            )
            for leads in zip(*(one.rollout for one in evaluations), strict=True)
        ),
        pairs=None,
        seeds=len(evaluations),
        per_seed=tuple(one.fidelity.pooled for one in evaluations),
    )


def _law(law: Law | None, what: str) -> dict[str, float | None] | None:
    return None if law is None else {what: finite(law.model), f"data_{what}": finite(law.data)}
