"""Pieces of an evaluation: starts that are scored together, each by itself the same wherever and whenever it is done.

A piece goes by with all its leads and baselines; what stays are a few numbers for each pair (`Counts`), which add up in
the order of the pieces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from nvp.atlas.series import IRREDUCIBLE, Series
from nvp.dynamics.domain import domain
from nvp.prediction.accounts import own_residual, told
from nvp.prediction.baselines import Persistence
from nvp.prediction.drift import roll_out
from nvp.prediction.forecaster import Forcing, Forecast, Forecaster, Window, continuation, truth, windows
from nvp.prediction.measures import Seen
from nvp.prediction.report import Drift
from nvp.prediction.stored import StoredForecaster
from nvp.prediction.tally import MODEL, Climatology, Tally
from nvp.thermo.bootstrap import blocks_of_series


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Starts of one series (its number), each of which is predicted up to `steps` leads."""

    series: int
    starts: Int[np.ndarray, "n"]
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """So many steps from the last frame of a series, where no truth is known."""

    series: int
    steps: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted: lead 1 for the headline, and all leads where there are several."""

    pairs: Tally = field(default_factory=Tally)
    rollouts: Tally = field(default_factory=Tally)

    def extend(self, other: Counts) -> None:
        """Count what comes next, too."""
        self.pairs.extend(other.pairs)
        self.rollouts.extend(other.rollouts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Beside whom a forecaster is scored, and how."""

    rivals: Mapping[str, Forecaster]
    forcings: tuple[Forcing, ...]
    history: int
    climatology: Climatology | None
    # how many series there are
    of: int

    def score(self, forecaster: Forecaster, series: Series, piece: Piece) -> Counts:
        """Predict from each start and compare: lead 1 for the headline, all leads where there are several."""
        counts, at, steps = Counts(), piece.starts, piece.steps
        window = windows(series, history=self.history, starts=at, steps=steps)
        seen, origin, spec = truth(series, starts=at, steps=steps), window.history[:, -1], domain(series.domain)
        leads = [Seen(seen[:, step], origin, spec) for step in range(steps)]
        blocks = blocks_of_series(
            series=piece.series, of=self.of, length=len(series), starts=at, valid_time=series.valid_time
        )
        for tally in (counts.pairs,) if steps == 1 else (counts.pairs, counts.rollouts):
            tally.place(series=piece.series, starts=at, blocks=blocks)
        for kind in self.forcings if steps > 1 else self.forcings[:1]:
            made = _forecast(forecaster, window, steps, kind)
            books = told(forecaster, series, at, spec=spec, steps=steps, forcing=kind)
            for step, one in enumerate(leads):
                for tally in self._of(step, kind, counts, several=steps > 1):
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
                        blocks=blocks if tally is counts.pairs else np.zeros_like(blocks),
                    )
            self._compare(series, window, leads, kind, counts)
        return counts

    def _compare(self, series: Series, window: Window, leads: list[Seen], kind: Forcing, counts: Counts) -> None:
        """The baselines on the same leads."""
        for name, rival in self.rivals.items():
            made = _forecast(rival, window, len(leads), kind)
            for step, one in enumerate(leads):
                for tally in self._of(step, kind, counts, several=len(leads) > 1):
                    who = (name, step + 1, kind)
                    (tally.measure if isinstance(rival, Persistence) else tally.compare)(who, made.mean[:, step], one)
        if IRREDUCIBLE in series.parameters:
            for tally in self._of(0, kind, counts, several=len(leads) > 1):
                tally.bound(series.parameters[IRREDUCIBLE], leads[0], kind)

    def _of(self, step: int, kind: Forcing, counts: Counts, *, several: bool) -> list[Tally]:
        """Where a lead is written down: the headline takes lead 1 under the first forcing only."""
        headline = [counts.pairs] if step == 0 and kind == self.forcings[0] else []
        return headline + ([counts.rollouts] if several else [])


def _forecast(forecaster: Forecaster, window: Window, steps: int, forcing: Forcing) -> Forecast:
    return forecaster.forecast(continuation(window, history=forecaster.history), steps, forcing)


def score(judge: Judge, forecaster: Forecaster, series: Series, piece: Piece | Beyond) -> Counts | Drift | None:
    """One piece of an evaluation; None where nothing can be said of a rollout beyond the last frame."""
    if isinstance(piece, Beyond):
        return roll_out(forecaster, series, piece.steps)
    return judge.score(forecaster, series, piece)


def score_stored(
    judge: Judge, checkpoint: StoredForecaster, series: Series, piece: Piece | Beyond
) -> Counts | Drift | None:
    """One piece of an evaluation of a checkpoint: a task for whoever has the time."""
    return score(judge, checkpoint.load(), series, piece)
