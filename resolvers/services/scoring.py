"""Scores of predicted states against the truth, at once where it is known, later where it is ingested later."""

from __future__ import annotations

import asyncio
from itertools import groupby

import numpy as np
from jaxtyping import Float

from graph.queries import prediction, vector_logs
from graph.queries.prediction import Unscored
from nvp.atlas.store import ArrayStore
from nvp.thermo.scores import finite, pair_errors, vrmse
from resolvers.services.context import Services
from resolvers.services.outcomes import log_outcomes

Scores = dict[str, float | None]


def scores_of(
    predicted: Float[np.ndarray, "h w c"], truth: Float[np.ndarray, "h w c"], origin: Float[np.ndarray, "h w c"]
) -> Scores:
    """Scores of one predicted state, as ESTIMATES carries them; None where a static pair has none."""
    fidelity = pair_errors(predicted[None], truth[None], origin[None]).fidelity[0]
    error = predicted.astype(np.float64) - truth
    return {
        "fidelity": finite(fidelity),
        "vrmse": finite(vrmse(predicted[None], truth[None]).mean()),
        "persistence": finite(vrmse(origin[None], truth[None]).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "energy_error": float(error.sum()),
    }


async def score_predictions(services: Services, sequence: str) -> int:
    """Score what was predicted of this sequence before its truth came, and log it; how many states were scored.

    Needs no lease: whoever does it reads the same arrays and writes the same links.
    """
    rows = await prediction.unscored(services.gateway, sequence)
    for uid, states in groupby(rows, key=lambda row: row.prediction):
        scores = await asyncio.to_thread(_read_and_score, services.store, tuple(states))
        await prediction.record_estimates(services.gateway, prediction=uid, scores=scores)
    await log_outcomes(services, await vector_logs.unlogged_of_sequence(services.gateway, sequence))
    return len(rows)


def _read_and_score(store: ArrayStore, states: tuple[Unscored, ...]) -> dict[int, Scores]:
    origin = store.read_array(states[0].start_uri)
    return {row.lead: scores_of(store.read_array(row.uri), store.read_array(row.truth_uri), origin) for row in states}
