"""APEBench's metric under its own name, so that a figure here is the figure there.

nRMSE of a frame is the *sum* over its channels of ‖p − y‖/‖y‖, neither mean-subtracted nor with an eps: two channels
read twice as much. A curve is its mean over samples at each step, and the headline the geometric mean over the steps.

Reference: Koehler et al., APEBench (NeurIPS 2024), `mean_nRMSE` and `aggregate_gmean`.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64


def nrmse(x: Float[np.ndarray, "... h w c"], y: Float[np.ndarray, "... h w c"]) -> Float64[np.ndarray, "..."]:
    """Σ_c ‖x_c − y_c‖/‖y_c‖ of each frame; NaN where a channel of y is 0 throughout."""
    error, size = ((field.astype(np.float64) ** 2).sum(axis=(-3, -2)) for field in (x.astype(np.float64) - y, y))
    summed: Float64[np.ndarray, "..."] = np.sqrt(error / np.where(size == 0, np.nan, size)).sum(axis=-1)
    return summed


def geometric_mean(curve: Float[np.ndarray, "s"]) -> float:
    """exp(mean of ln) over the steps; 0 where a step is without error, NaN where one has no value."""
    with np.errstate(divide="ignore"):
        return float(np.exp(np.mean(np.log(curve.astype(np.float64)))))
