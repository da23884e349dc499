"""The loss is the metric: 1 − fidelity of the batch, and beside it the likelihood of the log-variance."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nvp.model.nvp import Prediction


class Loss(NamedTuple):
    """Terms, unweighted."""

    # sqrt(Σ‖P − T‖² / Σ‖T − O‖²) over the batch
    error: Float[Array, ""]
    # mean of ½ (log σ² + (P − T)²/σ²) less ½ log of the mean squared change, so that persistence's best is about ½
    likelihood: Float[Array, ""]


def loss_of(prediction: Prediction, state: Float[Array, "b h w c"], truth: Float[Array, "b h w c"]) -> Loss:
    """Terms of one batch. The likelihood teaches the variance only: its gradient does not reach the mean."""
    change = jnp.sum((truth - state) ** 2)
    wrong = jnp.sum((prediction.mean - truth) ** 2)
    tiny = 1e-37
    # the square root's slope at 0 is infinite: a floor far below any error that matters
    error = jnp.sqrt(wrong / (change + tiny) + 1e-10)
    scale = change / truth.size + tiny
    squared = jax.lax.stop_gradient((prediction.mean - truth) ** 2)
    terms = prediction.log_var - jnp.log(scale) + squared * jnp.exp(-prediction.log_var)
    return Loss(error, 0.5 * jnp.mean(terms))
