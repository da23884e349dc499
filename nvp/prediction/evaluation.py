"""Evaluation: one forecaster on many series, beside everything that it should be compared with.

The headline is the fidelity at lead 1 (`nvp.thermo.scores`); every baseline is scored on the very same pairs. Longer
leads are scored against the field of time t, so that persistence is 0 at every lead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int

from nvp.atlas.series import IRREDUCIBLE, Series
from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.model.ridge import RidgeConfig, fit_ridge
from nvp.prediction.baselines import KnownPhysics, LinearExtrapolation, Persistence
from nvp.prediction.forecaster import Forcing, Forecaster, continuation, truth, windows
from nvp.prediction.report import BASELINES, KNOWN_PHYSICS, Evaluation, Lead, combine
from nvp.prediction.tally import Tally
from nvp.thermo.bootstrap import blocks_of_series
from nvp.thermo.scores import field_fidelity, total_energy_fidelity

__all__ = ["Evaluation", "combine", "evaluate"]

# starts that are predicted together
_CHUNK = 32
# what the best prediction there is would leave, in the tally
_CEILING = "noise ceiling"


def evaluate(
    forecaster: Forecaster,
    series: Sequence[Series],
    *,
    fit: Sequence[Series] = (),
    validation: Sequence[Series] = (),
    starts: Sequence[int] | None = None,
    stride: int = 1,
    horizon: int = 1,
    forcing: Forcing | None = None,
    bootstrap_key: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score `forecaster` on every `stride`-th start of each of `series`, or on `starts` (positions in each).

    `fit` and `validation` are what ridge regression may learn from: the series that the forecaster was trained on and
    chosen by. `horizon` leads are rolled out under `forcing` (None: both kinds, where a series has context that could
    differ). `progress(done, pairs)` may raise to stop. All series are of one domain.

    Raises `FieldError` where no start has the history and the leads that it needs.
    """
    rivals = _rivals(series, fit, validation)
    history = max(forecaster.history, *(rival.history for rival in rivals.values()))
    places = [_places(one, history, horizon, stride, starts) for one in series]
    total = sum(map(len, places))
    if not total:
        raise FieldError(
            "TOO_SHORT",
            f"expected series of at least {history + horizon} frames to score, got at most "
            f"{max(map(len, series), default=0)}.",
            next_step="Score longer series, or a shorter horizon.",
        )
    varied = horizon > 1 and any(one.context for one in series)
    forcings: tuple[Forcing, ...] = (forcing,) if forcing else ("frozen", "recorded") if varied else ("frozen",)

    tally, done = Tally(), 0
    for number, (one, chosen) in enumerate(zip(series, places, strict=True)):
        for at in np.split(chosen, range(_CHUNK, len(chosen), _CHUNK)):
            if len(at):
                _score(tally, forecaster, rivals, one, at, history=history, horizon=horizon, forcings=forcings)
                tally.note("series", np.full(len(at), number))
                tally.note("start", at)
                tally.note(
                    "block",
                    blocks_of_series(
                        series=number, of=len(series), length=len(one), starts=at, valid_time=one.valid_time
                    ),
                )
                done += len(at)
                if progress is not None:
                    progress(done, total)
    return _summary(tally, forcings, horizon, bootstrap_key)


def _rivals(series: Sequence[Series], fit: Sequence[Series], validation: Sequence[Series]) -> dict[str, Forecaster]:
    """The baselines that apply, by name."""
    rivals: dict[str, Forecaster] = {"persistence": Persistence(), "linear_extrapolation": LinearExtrapolation()}
    if not series:
        return rivals
    spec, channels = domain(series[0].domain), series[0].energy.shape[-1]
    config = RidgeConfig()
    if channels == 1 and any(len(one) > config.history for one in fit):
        rivals["ridge"] = fit_ridge(fit, config, validation=validation)
    if all(KnownPhysics.applies(one.context, signed=spec.signed, channels=channels) for one in series):
        rivals |= {"upwind": KnownPhysics(high_order=False), "frozen": KnownPhysics(high_order=True)}
    return rivals


def _places(
    series: Series, history: int, horizon: int, stride: int, starts: Sequence[int] | None
) -> Int[np.ndarray, "n"]:
    """Positions of frame t: those asked for, or all that have enough frames before and after."""
    if starts is not None:
        return np.asarray(starts, dtype=np.int64)
    return np.arange(history - 1, len(series) - horizon, stride, dtype=np.int64)


def _score(
    tally: Tally,
    forecaster: Forecaster,
    rivals: dict[str, Forecaster],
    series: Series,
    at: Int[np.ndarray, "n"],
    *,
    history: int,
    horizon: int,
    forcings: tuple[Forcing, ...],
) -> None:
    """Predict from each start and compare, all leads of the forecaster and the first of its rivals."""
    window = windows(series, history=history, starts=at, steps=horizon)
    seen, origin = truth(series, starts=at, steps=horizon), window.history[:, -1]
    for kind in forcings:
        made = forecaster.forecast(continuation(window, history=forecaster.history), horizon, kind)
        for step in range(horizon):
            tally.add(_model(kind), step + 1, made.mean[:, step], seen[:, step], origin)
        if kind == forcings[0]:
            tally.laws(series, at, predicted=made.mean[:, 0], outflow=made.outflow[:, 0].astype(np.float64))
            tally.note("total", total_energy_fidelity(made.mean[:, 0], seen[:, 0]))
            tally.note("field", field_fidelity(made.mean[:, 0], seen[:, 0]))
    for name, rival in rivals.items():
        guess = rival.forecast(continuation(window, history=rival.history), 1).mean[:, 0]
        tally.add(name, 1, guess, seen[:, 0], origin)
    if IRREDUCIBLE in series.parameters:
        tally.add_error(_CEILING, series.parameters[IRREDUCIBLE], seen[:, 0], origin)
    for step in range(1, horizon):
        tally.add("persistence", step + 1, origin, seen[:, step], origin)


def _model(forcing: Forcing) -> str:
    """The forecaster's own name in the tally."""
    return f"model under {forcing} forcing"


def _summary(tally: Tally, forcings: tuple[Forcing, ...], horizon: int, key: int) -> Evaluation:
    rollout = []
    for kind in forcings:
        for lead in range(1, horizon + 1):
            fidelity = tally.score(_model(kind), lead, key=key)
            assert fidelity is not None
            rollout.append(
                Lead(
                    lead=lead,
                    forcing=kind,
                    fidelity=fidelity,
                    vrmse=tally.mean(f"vrmse {_model(kind)} {lead}"),
                    persistence_vrmse=tally.mean(f"vrmse persistence {lead}"),
                )
            )
    return Evaluation(
        fidelity=rollout[0].fidelity,
        baselines={name: tally.score(name, key=key) for name in (*BASELINES, *KNOWN_PHYSICS)},
        noise_ceiling=tally.score(_CEILING, key=key),
        vrmse=rollout[0].vrmse,
        persistence_vrmse=rollout[0].persistence_vrmse,
        total_energy_fidelity=tally.mean("total"),
        field_fidelity=tally.mean("field"),
        first_law=tally.law("first", largest=True),
        second_law=tally.law("entropy"),
        negative=tally.law("negative"),
        rollout=tuple(rollout),
        pairs=tally.pairs(_model(forcings[0])),
        per_seed=(rollout[0].fidelity.pooled,),
    )
