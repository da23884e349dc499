"""The first law: what a step adds to ΣE must come from the source or through an edge.

Data: ΣT = ΣO + ∫ΣQ dt − net outflow, both recorded by the simulator. Model: ΣP = ΣO + ΣQ_t·dt − its own outflow, since
Q is known at time t only. Residuals are relative to Σ|O| and zero to round-off where the law holds.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def first_law_residual(
    after: Float[np.ndarray, "n h w c"],
    before: Float[np.ndarray, "n h w c"],
    *,
    source: Float[np.ndarray, "n"] | float = 0.0,
    outflow: Float[np.ndarray, "n"] | float = 0.0,
) -> Float[np.ndarray, "n"]:
    """(Σafter − Σbefore − source + outflow)/Σ|before| of each pair; `source` and `outflow` are totals over the step."""
    totals = before.sum(axis=(1, 2, 3), dtype=np.float64)
    gained = after.sum(axis=(1, 2, 3), dtype=np.float64) - totals
    size = np.abs(before).sum(axis=(1, 2, 3), dtype=np.float64)
    residual: Float[np.ndarray, "n"] = (gained - source + outflow) / np.where(size == 0, np.nan, size)
    return residual
