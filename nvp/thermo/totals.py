"""Totals: what a prediction does to ΣE, by its own account and beside the truth.

A model that is told Q_t keeps the first law where ΣP = ΣE + ΣQ dt − its own outflow (`first_law_closure` is then round-
off). That says nothing of whether its outflow, or the Q of later steps, came true: `total_error` does.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from nvp.thermo.conservation import first_law_residual


def first_law_closure(
    predicted: Float[np.ndarray, "n h w c"],
    before: Float[np.ndarray, "n h w c"],
    *,
    source: Float[np.ndarray, "n"] | float = 0.0,
    outflow: Float[np.ndarray, "n"] | float = 0.0,
) -> Float[np.ndarray, "n"]:
    """|ΣP − ΣE − ΣQ dt + outflow| / Σ|E| of each step from `before` to `predicted`.

    `source` is ΣQ dt as the model was told, `outflow` what it says has left.
    """
    closure: Float[np.ndarray, "n"] = np.abs(first_law_residual(predicted, before, source=source, outflow=outflow))
    return closure


def total_error(predicted: Float[np.ndarray, "n h w c"], truth: Float[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n"]:
    """|ΣP − ΣT| / Σ|T| of each pair; NaN where the truth is 0 throughout."""
    size = np.abs(truth).sum(axis=(1, 2, 3), dtype=np.float64)
    missing = predicted.sum(axis=(1, 2, 3), dtype=np.float64) - truth.sum(axis=(1, 2, 3), dtype=np.float64)
    error: Float[np.ndarray, "n"] = np.abs(missing) / np.where(size == 0, np.nan, size)
    return error
