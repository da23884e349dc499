"""Pieces of an evaluation and checkpoints travel: what is scored elsewhere is what would have been scored here."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from nvp.atlas.series import Series
from nvp.errors import FieldError
from nvp.model.ridge import Ridge, RidgeConfig, fit_ridge
from nvp.prediction.baselines import LinearExtrapolation, Persistence
from nvp.prediction.evaluation import Totals, evaluate, plan
from nvp.prediction.pieces import Beyond, score_stored
from nvp.prediction.stored import StoredForecaster

RIVALS = {"persistence": Persistence(), "linear_extrapolation": LinearExtrapolation()}
HOW = {"horizon": 3, "rollouts": 50, "drift": 4, "rivals": RIVALS}


@pytest.fixture(scope="module")
def series() -> list[Series]:
    rng = np.random.default_rng(0)
    fields = rng.gamma(4.0, 1.0, (3, 50, 8, 8, 1)).astype(np.float32)
    return [Series(energy=np.cumsum(one, axis=0), context={}, dt=1.0, domain="fluid_dynamics") for one in fields]


@pytest.fixture(scope="module")
def ridge(series: list[Series]) -> Ridge:
    return fit_ridge(series[:1], RidgeConfig(history=2, patch=1))


def test_pieces_scored_elsewhere_are_the_same_evaluation(series: list[Series], ridge: Ridge, tmp_path: Path) -> None:
    ridge.save(tmp_path / "here")
    checkpoint = pickle.loads(pickle.dumps(StoredForecaster(tmp_path / "here", "0")))
    shutil.rmtree(tmp_path / "here")
    planned = plan(ridge.history, series, fit=series, **HOW)
    assert len(planned.pieces) > 6
    # in any order, as long as they are added in theirs
    found = {}
    for number, piece in reversed(list(enumerate(planned.pieces))):
        away = pickle.loads(pickle.dumps((planned.judge, piece)))
        found[number] = pickle.dumps(score_stored(away[0], checkpoint, series[piece.series], away[1]))
    totals = Totals(planned)
    for number in range(len(planned.pieces)):
        totals.add(pickle.loads(found[number]))
    assert totals.result().to_json() == evaluate(ridge, series, fit=series, **HOW).to_json()
    # log-variances differ little from cell to cell: what travels of their bins is small
    assert max(map(len, found.values())) < 400_000


def test_each_start_is_in_one_piece(series: list[Series]) -> None:
    pieces = plan(1, series, stride=2, **HOW).pieces
    starts = sorted((piece.series, int(at)) for piece in pieces if not isinstance(piece, Beyond) for at in piece.starts)
    assert starts == sorted(set(starts))
    assert {piece.series for piece in pieces if isinstance(piece, Beyond)} == {0, 1, 2}
    assert all(steps in (1, 3) for steps in {piece.steps for piece in pieces if not isinstance(piece, Beyond)})


def test_a_checkpoint_whose_files_are_missing(tmp_path: Path) -> None:
    gone = StoredForecaster(tmp_path / "nowhere", "1")
    with pytest.raises(FieldError, match="expected a checkpoint"):
        gone.load()
    with pytest.raises(FieldError, match="expected a checkpoint"):
        pickle.loads(pickle.dumps(gone))
