"""Samples: what an evaluation says of each sequence on its own, for tests that count sequences.

Sequences are drawn independently, starts within one are not: a sample is one sequence, or a calendar day of real data,
and its value is that of an evaluation on it alone (`nvp.prediction.evaluation`), so that every measure means the same.
All forecasters are scored on the very same starts, leads under frozen forcing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from nvp.atlas.series import Series
from nvp.prediction.baselines import Persistence
from nvp.prediction.evaluation import Evaluation, evaluate
from nvp.prediction.forecaster import Forecaster
from nvp.prediction.report import Lead
from nvp.thermo.scores import PairErrors, Score, concatenate, fidelity_score, finite

# starts of a sample at most: neighbouring ones say nearly the same
STARTS = 16
# all that a sample takes: no start of it is left out of a rollout
_ALL = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What one sample is made of: stretches of one sequence, or of one day of it."""

    # uid of the sequence, with @day where it is a day
    uid: str
    parts: tuple[Series, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One forecaster at one lead of one sample."""

    # NaN where nothing can be scored
    value: float
    # starts
    pairs: int
    # Σ‖T − O‖² over them: by it a fidelity weighs where samples are pooled
    change: float

    def to_json(self) -> list[Any]:
        return [finite(self.value), self.pairs, self.change]


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The table of one measure, and the model's fidelity at lead 1 over all of it."""

    metric: str
    # by uid of the unit, forecaster and lead
    values: Mapping[str, Mapping[str, Mapping[int, Measured]]]
    fidelity: Score
    vrmse: float
    persistence_vrmse: float

    def to_json(self) -> dict[str, Any]:
        """An evaluation's scores, with the table beside them."""
        table = {
            uid: {who: {str(lead): one.to_json() for lead, one in leads.items()} for who, leads in values.items()}
            for uid, values in self.values.items()
        }
        return {
            "fidelity": self.fidelity.to_json(),
            "vrmse": finite(self.vrmse),
            "persistence_vrmse": finite(self.persistence_vrmse),
            "samples": {"metric": self.metric, "values": table},
        }


def sample(
    forecasters: Mapping[str, Forecaster],
    units: Sequence[Unit],
    *,
    metric: str,
    leads: Mapping[str, Sequence[int]],
    model: str,
    most: int = STARTS,
    progress: Callable[[int, int], None] | None = None,
) -> Samples:
    """`metric` of each forecaster at its `leads` (by name), for each unit; `model` is whose fidelity is the headline.

    Units that are too short for the history or the leads have no value. `progress(done, units)` may raise to stop.
    """
    history = max(one.history for one in forecasters.values())
    horizon = max(max(wanted) for wanted in leads.values())
    still = Persistence(history=history)
    whole = _Whole()
    values: dict[str, dict[str, dict[int, Measured]]] = {}
    for number, unit in enumerate(units):
        stride = -(-sum(len(_starts(part, history, horizon, 1)) for part in unit.parts) // most)
        parts = [part for part in unit.parts if stride and len(_starts(part, history, horizon, stride))]
        changes = {lead: _changes(parts, history, horizon, stride, lead) for lead in range(1, horizon + 1)}
        found: dict[str, dict[int, Measured]] = {who: {} for who in leads}
        for who, wanted in leads.items():
            result = (
                evaluate(
                    forecasters[who],
                    parts,
                    rivals={"persistence": still},
                    stride=stride,
                    horizon=horizon,
                    forcing="frozen",
                    spans=(),
                    rollouts=_ALL,
                )
                if parts and who in forecasters
                else None
            )
            for lead in wanted:
                at = None if result is None else result.at(lead)
                found[who][lead] = Measured(
                    value=math.nan if at is None else value_of(at, metric),
                    pairs=len(changes[lead]),
                    change=float(changes[lead].sum()),
                )
            if who == model and result is not None:
                whole.add(number, result, parts, history, stride)
        values[unit.uid] = found
        if progress is not None:
            progress(number + 1, len(units))
    score, vrmse, persistence = whole.scores()
    return Samples(metric=metric, values=values, fidelity=score, vrmse=vrmse, persistence_vrmse=persistence)


def value_of(lead: Lead, metric: str) -> float:
    """A measure of `resolvers`' claims in the scores of a lead; NaN where it does not apply."""
    match metric:
        case "fidelity":
            return lead.fidelity.pooled
        case "vrmse":
            return lead.vrmse
        case "closure":
            return math.nan if lead.first_law is None else lead.first_law.model
        case "second_law_violations":
            return math.nan if lead.second_law is None else lead.second_law.model
        case "coverage90":
            return math.nan if lead.calibration is None else lead.calibration.coverage90
    return lead.metrics[metric].model if metric in lead.metrics else math.nan


def units_of(series: Sequence[Series], *, history: int, horizon: int) -> list[Unit]:
    """A unit for each sequence, or for each calendar day in which a start of it lies, in order."""
    found: dict[str, list[Series]] = {}
    for one in series:
        for uid, part in _days(one, history, horizon) if one.valid_time is not None else [(one.uid, one)]:
            found.setdefault(uid, []).append(part)
    return [Unit(uid=uid, parts=tuple(parts)) for uid, parts in found.items()]


def _days(series: Series, history: int, horizon: int) -> Iterator[tuple[str, Series]]:
    """The series cut so that the starts of a part lie in one day: with the frames before and after that they need."""
    assert series.valid_time is not None
    starts = _starts(series, history, horizon, 1)
    days = series.valid_time[starts].astype("datetime64[D]")
    for day in np.unique(days):
        at = starts[days == day]
        yield f"{series.uid}@{day}", series.part(int(at[0]) - history + 1, int(at[-1]) + horizon + 1)


def _starts(series: Series, history: int, horizon: int, stride: int) -> Int[np.ndarray, "n"]:
    """As `evaluate` chooses them."""
    at = np.arange(history - 1, len(series) - 1, stride)
    return at[at < len(series) - horizon]


def _changes(parts: Sequence[Series], history: int, horizon: int, stride: int, lead: int) -> Float[np.ndarray, "n"]:
    """‖T − O‖² of each start."""
    found = [np.zeros(0)]
    for part in parts:
        at = _starts(part, history, horizon, stride)
        found.append(((part.energy[at + lead].astype(np.float64) - part.energy[at]) ** 2).sum(axis=(1, 2, 3)))
    return np.concatenate(found)


@dataclass(slots=True)
class _Whole:
    """The model at lead 1, over all units."""

    pairs: list[PairErrors] = field(default_factory=list)
    blocks: list[Int[np.ndarray, "n"]] = field(default_factory=list)
    vrmse: list[Float[np.ndarray, "n"]] = field(default_factory=list)
    persistence: list[Float[np.ndarray, "n"]] = field(default_factory=list)

    def add(self, unit: int, result: Evaluation, parts: Sequence[Series], history: int, stride: int) -> None:
        """Pairs of one unit, in order of part and start."""
        assert result.pairs is not None
        starts = [np.arange(history - 1, len(part) - 1, stride) for part in parts]
        truth = np.concatenate([part.energy[at + 1] for part, at in zip(parts, starts, strict=True)]).astype(np.float64)
        before = np.concatenate([part.energy[at] for part, at in zip(parts, starts, strict=True)])
        change, size = ((truth - before) ** 2).sum(axis=(1, 2, 3)), (truth**2).sum(axis=(1, 2, 3))
        fidelity = result.pairs.fidelity
        # pairs that stand still have no fidelity, and next to no weight
        self.pairs.append(PairErrors(np.nan_to_num((1 - fidelity) ** 2 * change), change, size))
        self.blocks.append(np.full(len(change), unit))
        self.vrmse.append(result.pairs.vrmse)
        self.persistence.append(result.pairs.persistence_vrmse)

    def scores(self) -> tuple[Score, float, float]:
        """Fidelity with its interval over units, and mean VRMSE of model and persistence."""
        if not self.pairs:
            nothing = math.nan
            return Score(mean=nothing, median=nothing, pooled=nothing, n=0), nothing, nothing
        score = fidelity_score(concatenate(self.pairs), blocks=np.concatenate(self.blocks))
        vrmse, still = (float(np.concatenate(parts).mean()) for parts in (self.vrmse, self.persistence))
        return score, vrmse, still
