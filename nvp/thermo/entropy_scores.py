"""Entropy scores: how far a prediction's spatial entropy S lies from the truth's.

"Entropy coherence" has been used for two measures that point in opposite directions; both are here, under names that
say which: the *error* |S_P − S_T|/S_T (0 is best) and the *agreement* 1 − |S_P − S_T|/S_T (1 is best). S hardly moves
in a step, so that persistence agrees to three digits. The *change error* |S_P − S_T|/|S_T − S_O|, of sums over all
pairs, has persistence at exactly 1.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from nvp.atlas.entropy import spatial_entropy

# share of the entropy of a float32 field below which its change is rounding
ROUNDING = 1e-7


def entropy_of(fields: Float[np.ndarray, "n h w c"]) -> Float64[np.ndarray, "n"]:
    """Spatial entropy of each field in nats; a negative cell counts as empty."""
    found: Float64[np.ndarray, "n"] = spatial_entropy(np.maximum(fields, 0).astype(np.float64))
    return found


def entropy_error(predicted: Float64[np.ndarray, "n"], truth: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    """|S_P − S_T|/S_T of each pair, from the entropies; NaN where all of the truth's energy is in one cell."""
    error: Float64[np.ndarray, "n"] = np.abs(predicted - truth) / np.where(truth > 0, truth, np.nan)
    return error


def entropy_change_error(
    predicted: Float64[np.ndarray, "n"], truth: Float64[np.ndarray, "n"], origin: Float64[np.ndarray, "n"]
) -> float:
    """Σ|S_P − S_T| / Σ|S_T − S_O| over the pairs, from the entropies; NaN where they change by rounding only."""
    change = float(np.abs(truth - origin).sum())
    moves = change > ROUNDING * float(np.abs(truth).sum())
    return float(np.abs(predicted - truth).sum()) / change if moves else float("nan")
