"""What an evaluation counts while it goes through the pairs: sums per pair, never whole fields."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int, Shaped

from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec, domain
from nvp.prediction.report import Law, Pairs
from nvp.thermo.conservation import first_law_residual
from nvp.thermo.scores import PairErrors, Score, concatenate, fidelity_score, pair_errors, vrmse
from nvp.thermo.violations import negative, second_law_violated


class Tally:
    """Measurements of the pairs, in the order in which they come."""

    def __init__(self) -> None:
        self._errors: dict[tuple[str, int], list[PairErrors]] = defaultdict(list)
        self._values: dict[str, list[Shaped[np.ndarray, "n"]]] = defaultdict(list)

    def add(
        self,
        name: str,
        lead: int,
        predicted: Float[np.ndarray, "n h w c"],
        truth: Float[np.ndarray, "n h w c"],
        origin: Float[np.ndarray, "n h w c"],
    ) -> None:
        """Compare one lead of forecaster `name` with the truth; `origin` is the field of time t."""
        self._errors[name, lead].append(pair_errors(predicted, truth, origin))
        self.note(f"vrmse {name} {lead}", vrmse(predicted, truth).mean(axis=1))

    def add_error(
        self, name: str, error: float, truth: Float[np.ndarray, "n h w c"], origin: Float[np.ndarray, "n h w c"]
    ) -> None:
        """Count pairs of lead 1 of a forecaster of which only ‖P − T‖² is known, the same for each of them."""
        unchanged = pair_errors(origin, truth, origin)
        self._errors[name, 1].append(replace(unchanged, error=np.full(len(truth), error)))

    def note(self, name: str, values: Shaped[np.ndarray, "n"]) -> None:
        """Keep one value per pair."""
        self._values[name].append(values)

    def values(self, name: str) -> Shaped[np.ndarray, "n"]:
        """All values of this name."""
        return np.concatenate(self._values[name])

    def mean(self, name: str) -> float:
        """Their mean over the pairs that have one."""
        values = self.values(name)
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    def score(self, name: str, lead: int = 1, *, key: int) -> Score | None:
        """Fidelity of a forecaster; None where it was not applied to every pair."""
        parts = self._errors.get((name, lead))
        blocks = self.values("block")
        pairs = concatenate(parts) if parts else None
        return fidelity_score(pairs, blocks=blocks, key=key) if pairs and len(pairs.error) == len(blocks) else None

    def pairs(self, name: str) -> Pairs:
        """The pairs of a forecaster at lead 1, one by one."""
        return Pairs(
            series=self.values("series"),
            start=self.values("start"),
            fidelity=concatenate(self._errors[name, 1]).fidelity,
            vrmse=self.values(f"vrmse {name} 1"),
            persistence_vrmse=self.values("vrmse persistence 1"),
        )

    def laws(
        self,
        series: Series,
        starts: Int[np.ndarray, "n"],
        *,
        predicted: Float[np.ndarray, "n h w c"],
        outflow: Float[np.ndarray, "n"],
    ) -> None:
        """Check predictions of the frames after `starts`, and the data's own, against the laws of the domain."""
        spec = domain(series.domain)
        before, after = series.energy[starts], series.energy[starts + 1]
        if spec.signed:
            return
        self.note("negative model", negative(predicted))
        self.note("negative data", negative(after))
        if spec.second_law:
            self.note("entropy model", second_law_violated(predicted, before))
            self.note("entropy data", second_law_violated(after, before))
        # without Q, or with a Q that is known, the model can be held to its account
        if spec.closed or spec.source_model == "none" or "source" in series.context:
            given = _known_source(series, starts)
            self.note("first model", np.abs(first_law_residual(predicted, before, source=given, outflow=outflow)))
            self.note("first data", _own_residual(series, starts, spec))

    def law(self, name: str, *, largest: bool = False) -> Law | None:
        """A law's breach by the model beside the data's: the largest, or the share of the pairs."""
        if f"{name} model" not in self._values:
            return None
        measure = np.max if largest else np.mean
        return Law(model=float(measure(self.values(f"{name} model"))), data=float(measure(self.values(f"{name} data"))))


def _known_source(series: Series, starts: Int[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """ΣQ_t · dt of each start: all that is known at time t."""
    if "source" not in series.context:
        return np.zeros(len(starts))
    total: Float[np.ndarray, "n"] = series.context["source"][starts].sum(axis=(1, 2, 3), dtype=np.float64) * series.dt
    return total


def _own_residual(series: Series, starts: Int[np.ndarray, "n"], spec: DomainSpec) -> Float[np.ndarray, "n"]:
    """|Residual| of the data themselves; NaN in an open domain whose source and outflow nobody recorded."""
    source, outflow = series.source_total, series.outflow_total
    if not spec.closed and (source is None or outflow is None):
        return np.full(len(starts), np.nan)
    residual: Float[np.ndarray, "n"] = np.abs(
        first_law_residual(
            series.energy[starts + 1],
            series.energy[starts],
            source=0.0 if source is None else source[starts + 1].astype(np.float64),
            outflow=0.0 if outflow is None else outflow[starts + 1].astype(np.float64),
        )
    )
    return residual
