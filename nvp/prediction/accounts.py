"""Accounts of energy: what a forecaster was told of Q, and how well the data's own books balance."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec
from nvp.prediction.forecaster import Forcing
from nvp.thermo.totals import first_law_closure

SOURCE = "source"


def told(
    forecaster: object,
    series: Series,
    starts: Int[np.ndarray, "n"],
    *,
    spec: DomainSpec,
    steps: int,
    forcing: Forcing,
) -> Float[np.ndarray, "n s"] | None:
    """ΣQ dt of each step, as the forecaster was told; None where Q acts and nobody knows it.

    A network that is not given the source has none in its own account, whatever the series knows: one forecaster or
    several at once, it says by its `config` what it is given.
    """
    if SOURCE not in series.context:
        unknown = not spec.closed and spec.source_model != "none"
        return None if unknown else np.zeros((len(starts), steps))
    # networks say what they are given, in their configuration
    given = getattr(getattr(forecaster, "config", None), "context", None)
    if given is not None and SOURCE not in dict(given):
        return np.zeros((len(starts), steps))
    at = starts[:, None] + (np.arange(steps) if forcing == "recorded" else np.zeros(steps, np.int64))
    totals: Float[np.ndarray, "n s"] = series.context[SOURCE].sum(axis=(1, 2, 3), dtype=np.float64)[at] * series.dt
    return totals


def own_residual(series: Series, starts: Int[np.ndarray, "n"], spec: DomainSpec) -> Float[np.ndarray, "n"]:
    """|Residual| of the data's step after each start; NaN where a domain is open and nobody kept its books."""
    source, outflow = series.source_total, series.outflow_total
    if not spec.closed and (source is None or outflow is None):
        return np.full(len(starts), np.nan)
    return first_law_closure(
        series.energy[starts + 1],
        series.energy[starts],
        source=0.0 if source is None else source[starts + 1].astype(np.float64),
        outflow=0.0 if outflow is None else outflow[starts + 1].astype(np.float64),
    )
