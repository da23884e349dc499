"""The tally adds up what went by, and hides no failure."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.dynamics.domain import domain
from nvp.prediction.measures import Seen
from nvp.prediction.tally import MODEL, Tally, Who
from nvp.thermo.entropy_scores import entropy_change_error, entropy_of
from tests.nvp.fields import fluid_series

FLUID = domain("fluid_dynamics")
CARRIED = fluid_series(seed=3).energy
# carried and smoothed: its entropy rises
FRAMES = (1 + (CARRIED - 1) * 0.97 ** np.arange(len(CARRIED))[:, None, None, None]).astype(np.float32)
WHO: Who = (MODEL, 1, "frozen")
STILL: Who = ("persistence", 1, "frozen")


def tally(predicted: np.ndarray, *, chunks: int = 1) -> Tally:
    made = Tally()
    for at in np.array_split(np.arange(len(predicted)), chunks):
        made.place(series=0, starts=at, blocks=at)
        seen = Seen(FRAMES[at + 1], FRAMES[at], FLUID)
        made.measure(WHO, predicted[at], seen)
        made.measure(STILL, FRAMES[at], seen)
    return made


def test_chunks_make_no_difference() -> None:
    predicted = FRAMES[:6] + np.float32(0.01)
    one, three = (tally(predicted, chunks=chunks).lead(1, "frozen", key=0) for chunks in (1, 3))
    assert one.fidelity == three.fidelity
    for name, beside in one.metrics.items():
        assert beside.model == pytest.approx(three.metrics[name].model, rel=1e-12), name


def test_the_change_of_entropy_is_pooled() -> None:
    predicted = 0.5 * (FRAMES[:6] + FRAMES[:6].mean(axis=(1, 2), keepdims=True))
    lead = tally(predicted).lead(1, "frozen", key=0)
    entropies = [entropy_of(fields) for fields in (predicted, FRAMES[1:7], FRAMES[:6])]
    assert lead.metrics["entropy_change_error"].model == pytest.approx(entropy_change_error(*entropies))
    assert lead.metrics["entropy_change_error"].persistence in (1.0, pytest.approx(1.0))


def test_a_prediction_that_is_no_number_spoils_every_mean() -> None:
    predicted = FRAMES[:6].copy()
    predicted[2, 0, 0] = np.nan
    lead = tally(predicted).lead(1, "frozen", key=0)
    assert np.isnan([lead.vrmse, lead.fidelity.pooled, lead.metrics["rmse"].model]).all()
    assert np.isfinite([lead.persistence_vrmse, lead.metrics["rmse"].persistence]).all()
    assert lead.to_json()["vrmse"] is None


def test_who_was_not_applied_to_every_start_has_no_score() -> None:
    made = tally(FRAMES[:6])
    made.compare(("upwind", 1, "frozen"), FRAMES[:2], Seen(FRAMES[1:3], FRAMES[:2], FLUID))
    assert made.lead(1, "frozen", key=0).baselines["upwind"] is None
    assert not made.complete(("frozen", 1, "frozen"))


def test_pairs_come_in_order_of_series_and_start() -> None:
    made = Tally()
    for series, starts in ((1, [4, 2]), (0, [3, 0])):
        at = np.array(starts)
        made.place(series=series, starts=at, blocks=at)
        seen = Seen(FRAMES[at + 1], FRAMES[at], FLUID)
        made.measure(WHO, FRAMES[at] * np.linspace(1, 1.1, 2, dtype=np.float32)[:, None, None, None], seen)
        made.measure(STILL, FRAMES[at], seen)
    pairs = made.pairs("frozen")
    assert list(zip(pairs.series.tolist(), pairs.start.tolist(), strict=True)) == [(0, 0), (0, 3), (1, 2), (1, 4)]
    # the first of each two was predicted as it was
    assert pairs.fidelity[1] == pairs.fidelity[3] == 0
    assert (pairs.fidelity[[0, 2]] < 0).all()
    np.testing.assert_array_equal(pairs.vrmse == pairs.persistence_vrmse, [False, True, False, True])
