"""Evaluation: one forecaster on many series, beside everything that it should be compared with.

The headline is the fidelity at lead 1 (`nvp.thermo.scores`) over all starts; every baseline is scored on the very same
pairs. A rollout of several leads begins at the starts whose last lead is known, all leads from the same starts and
against the field of time t, so that persistence is 0 at every lead; a longer horizon leaves the headline as it is.
Pairs go by in chunks: what stays are a few numbers for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from nvp.atlas.series import IRREDUCIBLE, Series
from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.prediction.accounts import own_residual, told
from nvp.prediction.baselines import Persistence, rivals_for
from nvp.prediction.drift import rollout_drift
from nvp.prediction.forecaster import Forcing, Forecast, Forecaster, Window, continuation, truth, windows
from nvp.prediction.measures import Seen
from nvp.prediction.report import Evaluation
from nvp.prediction.spans import spans_of
from nvp.prediction.tally import MODEL, Climatology, Tally
from nvp.prediction.windows import WELL_WINDOWS
from nvp.thermo.bootstrap import blocks_of_series

__all__ = ["Evaluation", "evaluate"]

# starts that are predicted together, and predicted cells of all their leads
_CHUNK, _CELLS = 32, 1 << 22
# starts that are rolled out, unless said otherwise: neighbouring rollouts say nearly the same
ROLLOUTS = 64


def evaluate(
    forecaster: Forecaster,
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
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score `forecaster` on every `stride`-th start of each of `series`, or on `starts` (positions in each).

    `fit` and `validation` are what ridge regression may learn from: the series that the forecaster was trained on and
    chosen by; of `fit` is the climatology, too. `rivals` (of `rivals_for`) spares fitting again. `horizon` leads are
    rolled out from at most `rollouts` starts under `forcing` (None: both kinds, where a series has context that could
    differ), `spans` are windows over which they are averaged. `drift` steps are rolled out beyond the last frames.
    `progress(done, starts)` may raise to stop. All series are of one domain.

    Raises `FieldError` where no start has the history and the leads that it needs.
    """
    chosen = rivals_for(series, fit, validation) if rivals is None else dict(rivals)
    history = max(forecaster.history, *(rival.history for rival in chosen.values()))
    near, far = _places(series, history=history, horizon=horizon, stride=stride, starts=starts, rollouts=rollouts)
    varied = horizon > 1 and any(one.context for one in series)
    forcings: tuple[Forcing, ...] = (forcing,) if forcing else ("frozen", "recorded") if varied else ("frozen",)
    judge = _Judge(
        forecaster=forecaster,
        rivals=chosen,
        forcings=forcings,
        history=history,
        climatology=_climatology(fit, series),
        pairs=(pairs := Tally()),
        # leads 2 … of starts that have them; where there is one lead it is the same tally
        rollouts=(rolled := Tally() if horizon > 1 else pairs),
    )
    done, total = 0, sum(map(len, (*near, *far)))
    for number, one in enumerate(series):
        for at, steps in _chunks(one, near[number], far[number], horizon):
            judge.score(one, number, at, steps=steps, of=len(series))
            done += len(at)
            if progress is not None:
                progress(done, total)
    return Evaluation(
        headline=(first := pairs.lead(1, forcings[0], key=bootstrap_key)),
        rollout=(first,)
        if horizon == 1
        else tuple(rolled.lead(lead, kind, key=bootstrap_key) for kind in forcings for lead in range(1, horizon + 1)),
        spans=spans_of(rolled, forcings, horizon, spans),
        drift=rollout_drift(forecaster, series, steps=drift) if drift else None,
        pairs=pairs.pairs(forcings[0]),
        per_seed=(first.fidelity.pooled,),
    )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judge:
    """Who is scored, beside whom, and where it is written down."""

    forecaster: Forecaster
    rivals: Mapping[str, Forecaster]
    forcings: tuple[Forcing, ...]
    history: int
    climatology: Climatology | None
    pairs: Tally
    rollouts: Tally

    def score(self, series: Series, number: int, at: Int[np.ndarray, "n"], *, steps: int, of: int) -> None:
        """Predict from each start and compare: lead 1 for the headline, all leads where there are several."""
        window = windows(series, history=self.history, starts=at, steps=steps)
        seen, origin, spec = truth(series, starts=at, steps=steps), window.history[:, -1], domain(series.domain)
        leads = [Seen(seen[:, step], origin, spec) for step in range(steps)]
        blocks = blocks_of_series(series=number, of=of, length=len(series), starts=at, valid_time=series.valid_time)
        tallies = [self.pairs] if steps == 1 else [self.pairs, self.rollouts]
        for tally in tallies:
            tally.place(series=number, starts=at, blocks=blocks)
        for kind in self.forcings if steps > 1 else self.forcings[:1]:
            made = _forecast(self.forecaster, window, steps, kind)
            books = told(self.forecaster, series, at, spec=spec, steps=steps, forcing=kind)
            for step, one in enumerate(leads):
                for tally in self._of(step, kind, tallies):
                    who = (MODEL, step + 1, kind)
                    tally.measure(who, made.mean[:, step], one)
                    tally.laws(
                        who,
                        spec,
                        predicted=(origin if step == 0 else made.mean[:, step - 1], made.mean[:, step]),
                        true=(origin if step == 0 else seen[:, step - 1], seen[:, step]),
                        source=None if books is None else books[:, step],
                        outflow=made.outflow[:, step].astype(np.float64),
                        residual=own_residual(series, at + step, spec),
                    )
                    tally.claims(
                        who,
                        mean=made.mean[:, step],
                        log_var=made.log_var[:, step],
                        truth=one.truth,
                        members=None if made.members is None else np.moveaxis(made.members[:, :, step], 1, 0),
                        climatology=self.climatology,
                        # one interval, of the headline, is enough: each block keeps its own sums
                        blocks=blocks if tally is self.pairs else np.zeros_like(blocks),
                    )
            self._compare(series, window, leads, kind, tallies)

    def _compare(self, series: Series, window: Window, leads: list[Seen], kind: Forcing, tallies: list[Tally]) -> None:
        """The baselines on the same leads."""
        for name, rival in self.rivals.items():
            made = _forecast(rival, window, len(leads), kind)
            for step, one in enumerate(leads):
                for tally in self._of(step, kind, tallies):
                    who = (name, step + 1, kind)
                    (tally.measure if isinstance(rival, Persistence) else tally.compare)(who, made.mean[:, step], one)
        if IRREDUCIBLE in series.parameters:
            for tally in self._of(0, kind, tallies):
                tally.bound(series.parameters[IRREDUCIBLE], leads[0], kind)

    def _of(self, step: int, kind: Forcing, tallies: list[Tally]) -> list[Tally]:
        """Where a lead is written down: the headline takes lead 1 under the first forcing only."""
        return [tally for tally in tallies if tally is not self.pairs or (step == 0 and kind == self.forcings[0])]


def _forecast(forecaster: Forecaster, window: Window, steps: int, forcing: Forcing) -> Forecast:
    return forecaster.forecast(continuation(window, history=forecaster.history), steps, forcing)
