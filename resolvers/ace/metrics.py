"""Metrics that a claim may be about: the words of `nvp.prediction.measures`, with what each may be.

A claim is decided sequence by sequence: a metric has one value per sequence, which is that of an evaluation on this
sequence alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Needs = Literal["any", "energy", "second law"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number by which a prediction is judged."""

    name: str
    title: str
    # what is better
    higher: bool
    low: float = 0.0
    high: float = math.inf
    # what persistence scores, whatever the data; None where it must be measured
    persistence: float | None = None
    # of which fields it can be said: of all, of energies, of those whose spatial entropy cannot fall
    needs: Needs = "any"

    @property
    def range(self) -> str:
        """Which values it can have, in words."""
        if math.isinf(self.low):
            return f"at most {self.high:g}"
        return f"at least {self.low:g}" if math.isinf(self.high) else f"between {self.low:g} and {self.high:g}"


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="fidelity", title="fidelity", higher=True, low=-math.inf, high=1.0, persistence=0.0),
        Metric(name="vrmse", title="VRMSE", higher=False),
        Metric(name="nrmse", title="nRMSE", higher=False),
        Metric(name="rmse", title="RMSE", higher=False),
        Metric(name="mae", title="mean absolute error", higher=False),
        Metric(name="pearson_r", title="correlation", higher=True, low=-1.0, high=1.0),
        Metric(name="gradient_cosine", title="gradient cosine", higher=True, low=-1.0, high=1.0),
        Metric(name="change_gradient_cosine", title="change gradient cosine", higher=True, low=-1.0, high=1.0),
        Metric(name="spectrum_error", title="spectrum error", higher=False),
        Metric(name="total_error", title="total error", higher=False),
        Metric(name="total_energy_fidelity", title="total energy fidelity", higher=True, low=-math.inf, high=1.0),
        Metric(name="field_fidelity", title="field fidelity", higher=True, low=-math.inf, high=1.0),
        Metric(name="entropy_error", title="entropy error", higher=False, needs="energy"),
        Metric(
            name="entropy_agreement", title="entropy agreement", higher=True, low=-math.inf, high=1.0, needs="energy"
        ),
        Metric(name="closure", title="first law residual", higher=False, needs="energy"),
        Metric(
            name="second_law_violations",
            title="second law violation rate",
            higher=False,
            high=1.0,
            needs="second law",
        ),
        Metric(name="coverage90", title="coverage", higher=True, high=1.0),
    )
}

# forecasts that need no training of ours, and may stand for the model or beside it
BASELINES: Mapping[str, str] = {
    "persistence": "persistence",
    "linear_extrapolation": "linear extrapolation",
    "ridge": "ridge",
    "upwind": "upwind",
    "frozen": "frozen physics",
}
