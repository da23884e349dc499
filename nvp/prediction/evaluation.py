"""Evaluation: one forecaster on many series, beside everything that it should be compared with.

The headline is the fidelity at lead 1 (`nvp.thermo.scores`) over all starts; every baseline is scored on the very same
pairs. A rollout of several leads begins at the starts whose last lead is known, all leads from the same starts and
against the field of time t, so that persistence is 0 at every lead; a longer horizon leaves the headline as it is.
Pairs go by in pieces that do not know of each other: `plan`, then each piece, in any order, then `Totals` in theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from nvp.atlas.series import Series
from nvp.errors import FieldError
from nvp.prediction.baselines import rivals_for
from nvp.prediction.drift import chosen, worst
from nvp.prediction.forecaster import Forcing, Forecaster
from nvp.prediction.pieces import Beyond, Counts, Judge, Piece, score
from nvp.prediction.report import Drift, Evaluation
from nvp.prediction.spans import spans_of
from nvp.prediction.tally import Climatology
from nvp.prediction.windows import WELL_WINDOWS

__all__ = ["Evaluation", "Plan", "Totals", "evaluate", "plan"]

# starts that are predicted together, and predicted cells of all their leads
_CHUNK, _CELLS = 32, 1 << 22
# starts that are rolled out, unless said otherwise: neighbouring rollouts say nearly the same
ROLLOUTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What there is to score, piece by piece, and how it becomes an evaluation."""

    judge: Judge
    pieces: tuple[Piece | Beyond, ...]
    horizon: int
    spans: tuple[tuple[int, int], ...]
    bootstrap_key: int


class Totals:
    """What the pieces of a plan come to: `add` each result in the order of the pieces."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._counts = Counts()
        self._drifts: list[Drift | None] = []

    def add(self, found: Counts | Drift | None) -> None:
        """The next piece's."""
        if isinstance(found, Counts):
            self._counts.extend(found)
        else:
            self._drifts.append(found)

    def result(self) -> Evaluation:
        """The evaluation, once all were added."""
        pairs, rolled, horizon = self._counts.pairs, self._counts.rollouts, self._plan.horizon
        forcings, key = self._plan.judge.forcings, self._plan.bootstrap_key
        first = pairs.lead(1, forcings[0], key=key)
        return Evaluation(
            headline=first,
            rollout=(first,)
            if horizon == 1
            else tuple(rolled.lead(lead, kind, key=key) for kind in forcings for lead in range(1, horizon + 1)),
            # leads 2 … are of starts that have them; where there is one lead it is the headline's
            spans=spans_of(pairs if horizon == 1 else rolled, forcings, horizon, self._plan.spans),
            drift=worst(self._drifts),
            pairs=pairs.pairs(forcings[0]),
            per_seed=(first.fidelity.pooled,),
        )


def plan(
    history: int,
    series: Sequence[Series],
    *,
    fit: Sequence[Series] = (),
    validation: Sequence[Series] = (),
    rivals: Mapping[str, Forecaster] | None = None,
    starts: Sequence[int] | None = None,
    stride: int = 1,
    horizon: int = 1,
    forcing: Forcing | None = None,
    spans: Sequence[tuple[int, int]] = WELL_WINDOWS,
    rollouts: int = ROLLOUTS,
    drift: int = 0,
    bootstrap_key: int = 0,
) -> Plan:
    """The pieces of an evaluation, by a forecaster that wants so much `history`.

    Scored is every `stride`-th start of each of `series`, or `starts` (positions in each). `fit` and `validation` are
    what ridge regression may learn from: the series that the forecaster was trained on and chosen by; of `fit` is the
    climatology, too. `rivals` (of `rivals_for`) spares fitting again. `horizon` leads are rolled out from at most
    `rollouts` starts under `forcing` (None: both kinds, where a series has context that could differ), `spans` are
    windows over which they are averaged. `drift` steps are rolled out beyond the last frames. All series are of one
    domain.

    Raises `FieldError` where no start has the history and the leads that it needs.
    """
    beside = rivals_for(series, fit, validation) if rivals is None else dict(rivals)
    longest = max(history, *(rival.history for rival in beside.values()))
    near, far = _places(series, history=longest, horizon=horizon, stride=stride, starts=starts, rollouts=rollouts)
    varied = horizon > 1 and any(one.context for one in series)
    judge = Judge(
        rivals=beside,
        forcings=(forcing,) if forcing else ("frozen", "recorded") if varied else ("frozen",),
        history=longest,
        climatology=_climatology(fit, series),
        of=len(series),
    )
    pieces: list[Piece | Beyond] = [
        Piece(series=number, starts=at, steps=steps)
        for number, one in enumerate(series)
        for at, steps in _chunks(one, near[number], far[number], horizon)
    ]
    pieces += [Beyond(series=number, steps=drift) for number in chosen(history, series)] if drift else []
    return Plan(judge=judge, pieces=tuple(pieces), horizon=horizon, spans=tuple(spans), bootstrap_key=bootstrap_key)


def evaluate(forecaster: Forecaster, series: Sequence[Series], **options: Any) -> Evaluation:
    """Score `forecaster` on `series`, one piece after the other; options and errors are those of `plan`."""
    planned = plan(forecaster.history, series, **options)
    totals = Totals(planned)
    for piece in planned.pieces:
        totals.add(score(planned.judge, forecaster, series[piece.series], piece))
    return totals.result()


def _places(
    series: Sequence[Series],
    *,
    history: int,
    horizon: int,
    stride: int,
    starts: Sequence[int] | None,
    rollouts: int,
) -> tuple[list[Int[np.ndarray, "_"]], list[Int[np.ndarray, "_"]]]:
    """Positions of frame t in each series: those of lead 1 only, and those that are rolled out to the horizon."""
    every = [
        np.asarray(starts, np.int64) if starts is not None else np.arange(history - 1, len(one) - 1, stride)
        for one in series
    ]
    whole = [at[at < len(one) - horizon] for at, one in zip(every, series, strict=True)]
    count = sum(map(len, whole))
    if not count:
        raise FieldError(
            "TOO_SHORT",
            f"expected series of at least {history + horizon} frames to score, got at most "
            f"{max(map(len, series), default=0)}.",
            next_step="Score longer series, or a shorter horizon.",
        )
    if horizon == 1:
        return whole, [at[:0] for at in whole]
    taken = np.zeros(count, bool)
    taken[np.linspace(0, count - 1, min(rollouts, count)).round().astype(int)] = True
    far = [at[keep] for at, keep in zip(whole, np.split(taken, np.cumsum(list(map(len, whole)))[:-1]), strict=True)]
    return [np.setdiff1d(at, away) for at, away in zip(every, far, strict=True)], far


def _chunks(
    series: Series, near: Int[np.ndarray, "_"], far: Int[np.ndarray, "_"], horizon: int
) -> Iterator[tuple[Int[np.ndarray, "_"], int]]:
    """Starts that go together, and how many leads of them."""
    for at, steps in ((far, horizon), (near, 1)):
        size = int(np.clip(_CELLS // (steps * series.energy[0].size), 1, _CHUNK))
        for first in range(0, len(at), size):
            yield at[first : first + size], steps


def _climatology(fit: Sequence[Series], series: Sequence[Series]) -> Climatology | None:
    """Mean and log-variance of each cell over all frames of `fit`; None where its grid is another or nothing varies."""
    grid = series[0].energy.shape[1:] if series else ()
    frames = sum(map(len, fit))
    if frames < 2 or any(one.energy.shape[1:] != grid for one in fit):
        return None
    mean = sum(one.energy.sum(axis=0, dtype=np.float64) for one in fit) / frames
    variance = sum(((one.energy - mean) ** 2).sum(axis=0) for one in fit) / (frames - 1)
    return (np.asarray(mean), np.log(variance)) if np.min(variance) > 0 else None
