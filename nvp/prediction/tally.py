"""What an evaluation counts while it goes through the pairs: a few numbers per pair and lead, never whole fields."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int, Shaped

from nvp.dynamics.domain import DomainSpec
from nvp.prediction.forecaster import Forcing
from nvp.prediction.measures import ENTROPIES, Fields, Seen
from nvp.prediction.report import BASELINES, KNOWN_PHYSICS, Beside, Law, Lead, Pairs
from nvp.thermo.entropy_scores import entropy_change_error
from nvp.thermo.probabilistic import CalibrationTally
from nvp.thermo.scores import PairErrors, Score, concatenate, fidelity_score, pair_errors, vrmse
from nvp.thermo.totals import first_law_closure
from nvp.thermo.violations import negative, second_law_violated

MODEL = "model"
# what the best prediction there is would leave
CEILING = "noise ceiling"
# whether a prediction has numbers in all of its cells
_WHOLE = "whole"

# who predicted, at which lead, under which forcing
Who = tuple[str, int, Forcing]
# mean and log-variance of each cell over the training series
Climatology = tuple[Float[np.ndarray, "h w c"], Float[np.ndarray, "h w c"]]


class Tally:
    """Measurements of some starts at some leads, in the order in which they come."""

    def __init__(self) -> None:
        self._errors: dict[Who, list[PairErrors]] = defaultdict(list)
        self._measured: dict[Who, dict[str, list[Shaped[np.ndarray, "n"]]]] = defaultdict(dict)
        self._places: dict[str, list[Int[np.ndarray, "n"]]] = defaultdict(list)
        self._claims: dict[Who, CalibrationTally] = {}

    def place(self, *, series: int, starts: Int[np.ndarray, "n"], blocks: Int[np.ndarray, "n"]) -> None:
        """The starts that all that follows is of; `blocks` is what the bootstrap keeps together."""
        self._places["series"].append(np.full(len(starts), series))
        self._places["start"].append(starts)
        self._places["block"].append(blocks)

    def compare(self, who: Who, predicted: Fields, seen: Seen) -> None:
        """Fidelity and VRMSE: what every forecaster gets."""
        self._errors[who].append(pair_errors(predicted, seen.truth, seen.origin))
        whole = np.isfinite(predicted).all(axis=(1, 2, 3))
        self.note(who, {"vrmse": vrmse(predicted, seen.truth).mean(axis=1), _WHOLE: whole})

    def measure(self, who: Who, predicted: Fields, seen: Seen) -> None:
        """All there is: what the model and persistence get."""
        self.compare(who, predicted, seen)
        self.note(who, seen.measure(predicted))

    def bound(self, error: float, seen: Seen, forcing: Forcing) -> None:
        """Count pairs of lead 1 for the noise ceiling, of which only ‖P − T‖² is known, the same for each of them."""
        unchanged = pair_errors(seen.origin, seen.truth, seen.origin)
        self._errors[CEILING, 1, forcing].append(replace(unchanged, error=np.full(len(seen.truth), error)))

    def laws(
        self,
        who: Who,
        spec: DomainSpec,
        *,
        predicted: tuple[Fields, Fields],
        true: tuple[Fields, Fields],
        source: Float[np.ndarray, "n"] | None,
        outflow: Float[np.ndarray, "n"],
        residual: Float[np.ndarray, "n"],
    ) -> None:
        """Hold one step, (before, after), to the laws of the domain, as predicted and as it came true.

        `source` is ΣQ dt as the model was told (None: unknown), `residual` the data's own of the first law.
        """
        if spec.signed:
            return
        (before, after), (true_before, true_after) = predicted, true
        found: dict[str, Shaped[np.ndarray, "n"]] = {
            "negative model": negative(after),
            "negative data": negative(true_after),
        }
        if spec.second_law:
            found["entropy model"] = second_law_violated(after, before)
            found["entropy data"] = second_law_violated(true_after, true_before)
        if source is not None:
            found["first model"] = first_law_closure(after, before, source=source, outflow=outflow)
            found["first data"] = residual
        self.note(who, found)

    def claims(
        self,
        who: Who,
        *,
        mean: Fields,
        log_var: Fields,
        truth: Fields,
        members: Float[np.ndarray, "m n h w c"] | None,
        climatology: Climatology | None,
        blocks: Int[np.ndarray, "n"],
    ) -> None:
        """What the model says of its own error; nothing is counted where it says nothing."""
        if not np.isfinite(log_var).all():
            return
        tally = self._claims.setdefault(who, CalibrationTally())
        for block in np.unique(blocks):
            of = blocks == block
            some = None if members is None else members[:, of]
            tally.add(mean[of], log_var[of], truth[of], some, climatology, block=int(block))

    def note(self, who: Who, values: Mapping[str, Shaped[np.ndarray, "n"]]) -> None:
        """Keep one value per pair, by name."""
        kept = self._measured[who]
        for name, each in values.items():
            kept.setdefault(name, []).append(each)

    def extend(self, other: Tally) -> None:
        """What was measured of the starts that come next, by another tally."""
        for who, errors in other._errors.items():
            self._errors[who] += errors
        for who, measured in other._measured.items():
            for name, parts in measured.items():
                self._measured[who].setdefault(name, []).extend(parts)
        for name, places in other._places.items():
            self._places[name] += places
        for who, claims in other._claims.items():
            self._claims.setdefault(who, CalibrationTally()).extend(claims)

    @property
    def size(self) -> int:
        """How many starts."""
        return sum(map(len, self._places["start"]))

    def score(self, who: Who, *, key: int) -> Score | None:
        """Fidelity of a forecaster; None where it was not applied to every pair."""
        if not self.complete(who):
            return None
        return fidelity_score(concatenate(self._errors[who]), blocks=self._placed("block"), key=key)

    def complete(self, who: Who) -> bool:
        """Whether a forecaster was applied to every start."""
        return sum(len(part.error) for part in self._errors.get(who, ())) == self.size

    def mean(self, who: Who, name: str) -> float:
        """Mean over the pairs that have a value; NaN where none has, or where a prediction is not a number."""
        values = self._values(who, name)
        if not self._values(who, _WHOLE).all():
            return float("nan")
        return float(values[np.isfinite(values)].mean()) if np.isfinite(values).any() else float("nan")

    def lead(self, lead: int, forcing: Forcing, *, key: int) -> Lead:
        """All scores of one lead."""
        model, still = (MODEL, lead, forcing), ("persistence", lead, forcing)
        fidelity = self.score(model, key=key)
        assert fidelity is not None
        names = [name for name in self._measured[still] if name not in ("vrmse", _WHOLE, *ENTROPIES)]
        metrics = {name: Beside(model=self.mean(model, name), persistence=self.mean(still, name)) for name in names}
        if ENTROPIES[0] in self._measured[still]:
            metrics["entropy_change_error"] = Beside(model=self._entropy(model), persistence=self._entropy(still))
        claims = self._claims.get(model)
        return Lead(
            lead=lead,
            forcing=forcing,
            fidelity=fidelity,
            baselines={name: self.score((name, lead, forcing), key=key) for name in (*BASELINES, *KNOWN_PHYSICS)},
            noise_ceiling=self.score((CEILING, lead, forcing), key=key),
            vrmse=self.mean(model, "vrmse"),
            persistence_vrmse=self.mean(still, "vrmse"),
            metrics=metrics,
            first_law=self._law(model, "first", largest=True),
            second_law=self._law(model, "entropy"),
            negative=self._law(model, "negative"),
            calibration=None if claims is None else claims.result(key=key),
        )

    def pairs(self, forcing: Forcing) -> Pairs:
        """The pairs of lead 1, one by one."""
        series, start = self._placed("series"), self._placed("start")
        order = np.lexsort((start, series))
        model: Who = (MODEL, 1, forcing)
        return Pairs(
            series=series[order],
            start=start[order],
            fidelity=concatenate(self._errors[model]).fidelity[order],
            vrmse=self._values(model, "vrmse")[order],
            persistence_vrmse=self._values(("persistence", 1, forcing), "vrmse")[order],
        )

    def _placed(self, name: str) -> Int[np.ndarray, "n"]:
        return np.concatenate(self._places[name])

    def _values(self, who: Who, name: str) -> Shaped[np.ndarray, "n"]:
        parts = self._measured[who].get(name)
        return np.concatenate(parts) if parts else np.zeros(0)

    def _entropy(self, who: Who) -> float:
        predicted, true, before = (self._values(who, name) for name in ENTROPIES)
        return entropy_change_error(predicted, true, before)

    def _law(self, who: Who, name: str, *, largest: bool = False) -> Law | None:
        """A law's breach by the model beside the data's: the largest, or the share of the pairs."""
        if not (model := self._values(who, f"{name} model")).size:
            return None
        measure = np.max if largest else np.mean
        return Law(model=float(measure(model)), data=float(measure(self._values(who, f"{name} data"))))
