"""Rollout drift: whether a forecaster that feeds on its own predictions keeps its books over a hundred steps.

An isolated domain must end with the energy with which it began, and no step may make any: no perpetual motion. In an
open one the total must follow Q dt and the outflow that the forecaster itself reports. No truth is needed, hence the
rollouts begin at the last frames there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from nvp.atlas.series import Series
from nvp.dynamics.domain import domain
from nvp.prediction.accounts import told
from nvp.prediction.forecaster import Forecaster, windows
from nvp.prediction.report import Drift
from nvp.thermo.violations import second_law_violated

# starts at most, and cells of all of them: a hundred steps each are dear
STARTS, _CELLS = 4, 4 * 64 * 64


def rollout_drift(forecaster: Forecaster, series: Sequence[Series], *, steps: int) -> Drift | None:
    """Roll out from the last frame of a few series; None for signed fields and where Q acts but is not known."""
    numbers = chosen(forecaster.history, series) if steps > 0 else []
    return worst([roll_out(forecaster, series[number], steps) for number in numbers])


def chosen(history: int, series: Sequence[Series]) -> list[int]:
    """Numbers of the series from whose last frame is rolled out; none of a signed field."""
    usable = [number for number, one in enumerate(series) if len(one) >= history]
    if not usable or domain(series[usable[0]].domain).signed:
        return []
    cells = series[usable[0]].energy.shape[1] * series[usable[0]].energy.shape[2]
    most = max(1, min(STARTS, _CELLS // cells))
    return [usable[k] for k in np.unique(np.linspace(0, len(usable) - 1, min(most, len(usable))).round().astype(int))]


def worst(drifts: Sequence[Drift | None]) -> Drift | None:
    """The worst of several rollouts of as many steps; None where none says anything."""
    parts = [part for part in drifts if part is not None]
    if not parts:
        return None
    # NaN is the worst of all and must not be lost
    found = np.max([(part.total, part.gain, -part.least, part.largest, part.entropy_falls) for part in parts], axis=0)
    return Drift(
        steps=parts[0].steps,
        starts=len(parts),
        total=float(found[0]),
        gain=float(found[1]),
        least=float(-found[2]),
        largest=float(found[3]),
        entropy_falls=float(np.mean([part.entropy_falls for part in parts])),
    )


def roll_out(forecaster: Forecaster, series: Series, steps: int) -> Drift | None:
    """One rollout beyond the last frame; None where Q acts but is not known."""
    spec, at = domain(series.domain), np.array([len(series) - 1])
    source = told(forecaster, series, at, spec=spec, steps=steps, forcing="frozen")
    if source is None:
        return None
    # nothing later is asked for under frozen forcing
    window = windows(series, history=forecaster.history, starts=at, steps=0)
    made = forecaster.forecast(window, steps)
    start = window.history[0, -1]
    frames = np.concatenate([start[None], made.mean[0]])
    if not np.isfinite(frames).all():
        nothing = float("nan")
        return Drift(
            steps=steps, starts=1, total=nothing, gain=nothing, least=nothing, largest=nothing, entropy_falls=nothing
        )
    size, least, largest = (float(value) for value in (np.abs(start).sum(dtype=np.float64), start.mean(), start.max()))
    unexplained = _gains(frames) - source[0] + made.outflow[0].astype(np.float64)
    falls = second_law_violated(frames[1:], frames[:-1]).mean() if spec.second_law else float("nan")
    return Drift(
        steps=steps,
        starts=1,
        total=float(np.abs(unexplained.sum()) / size),
        gain=float(unexplained.max() / size),
        least=float(frames.min() / least),
        largest=float(frames.max() / largest),
        entropy_falls=float(falls),
    )


def _gains(frames: Float[np.ndarray, "t h w c"]) -> Float[np.ndarray, "s"]:
    gains: Float[np.ndarray, "s"] = np.diff(frames.sum(axis=(1, 2, 3), dtype=np.float64))
    return gains
