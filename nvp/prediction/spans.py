"""Scores over several leads, as others report them.

The Well averages VRMSE over windows of a rollout's steps, counted from 0 and half-open: 6:12 are the leads 7 … 12,
13:30 the leads 14 … 30. APEBench takes the geometric mean of its nRMSE, itself the mean over samples, over all steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nvp.prediction.forecaster import Forcing
from nvp.prediction.report import BASELINES, KNOWN_PHYSICS, Span
from nvp.prediction.tally import MODEL, Tally
from nvp.thermo.apebench_metrics import geometric_mean


def spans_of(
    tally: Tally, forcings: Sequence[Forcing], horizon: int, windows: Sequence[tuple[int, int]]
) -> tuple[Span, ...]:
    """The windows that end within the horizon, and APEBench's mean over all of it."""
    found = []
    for kind in forcings:
        for first, last in windows:
            if last <= horizon:
                leads = range(first + 1, last + 1)
                values = {
                    name: float(np.mean([tally.mean((name, lead, kind), "vrmse") for lead in leads]))
                    for name in (MODEL, *BASELINES, *KNOWN_PHYSICS)
                    if tally.complete((name, 1, kind))
                }
                found.append(_span("vrmse", f"{first}:{last}", leads, kind, values))
        leads = range(1, horizon + 1)
        values = {
            name: geometric_mean(np.array([tally.mean((name, lead, kind), "nrmse") for lead in leads]))
            for name in (MODEL, "persistence")
        }
        found.append(_span("nrmse", f"0:{horizon}", leads, kind, values))
    return tuple(found)


def _span(measure: str, window: str, leads: range, forcing: Forcing, values: dict[str, float]) -> Span:
    model = values.pop(MODEL)
    return Span(
        measure=measure,
        window=window,
        first=leads[0],
        last=leads[-1],
        forcing=forcing,
        model=model,
        baselines=values,
    )
