"""Several steps in training: the network continues its own forecasts, and learns what its own errors do to them.

With `last` the gradient of each lead passes through its last step only (the pushforward trick: what came before is
taken as a perturbed input), with `all` it passes back through every step. A horizon may grow in the course of training
from 1 to its full length. Noise on the newest frame is the cheap stand-in for a rollout's errors.

References: Brandstetter, Worrall & Welling, Message passing neural PDE solvers, ICLR (2022); Sanchez-Gonzalez et al.,
Learning to simulate complex physics with graph networks, ICML (2020); Bengio et al., Curriculum learning, ICML (2009).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from nvp.model.inputs import Inputs
from nvp.model.nvp import Prediction
from nvp.training.config import TrainingConfig
from nvp.training.data import Batch

# largest share of a cell's energy that noise takes away
_MOST_TAKEN = 0.25
# largest draw of the noise, in deviations
_LARGEST_DRAW = 2.0


class Rollout(NamedTuple):
    """What a network says of each lead."""

    mean: Float[Array, "b k h w c"]
    log_var: Float[Array, "b k h w c"]


def roll_out(
    network: Callable[[Inputs, PRNGKeyArray | None], Prediction],
    batch: Batch,
    key: PRNGKeyArray | None,
    *,
    through: bool,
) -> Rollout:
    """Continue each window by the batch's horizon; variances of the steps add up, as a forecaster's do.

    `key` draws what the network drops; gradients pass from a step to the one before only if `through`.
    """
    inputs, means, variances = batch.inputs, [], []
    log_var = None
    for k in range(batch.horizon):
        ahead = network(inputs, key if key is None or k == 0 else jax.random.fold_in(key, k))
        log_var = ahead.log_var if log_var is None else jnp.logaddexp(log_var, ahead.log_var)
        means.append(ahead.mean)
        variances.append(log_var)
        if k + 1 < batch.horizon:
            newest = ahead.mean if through else jax.lax.stop_gradient(ahead.mean)
            log_var = log_var if through else jax.lax.stop_gradient(log_var)
            history = jnp.concatenate([inputs.history[:, 1:], newest[:, None]], axis=1)
            inputs = inputs._replace(history=history, context=batch.context[:, k], clock=batch.clock[:, k])
    return Rollout(jnp.stack(means, axis=1), jnp.stack(variances, axis=1))


def disturbed(
    inputs: Inputs, truth: Float[Array, "b h w c"], amount: float, key: PRNGKeyArray, *, conserving: bool
) -> Inputs:
    """The inputs with noise on their newest frame, of `amount` times the root mean square of the change.

    Where a head conserves, the noise does too: it moves energy between cells of an example, and never takes more than
    is there.
    """
    newest = inputs.history[:, -1]
    axes = (1, 2, 3)
    size = amount * jnp.sqrt(jnp.mean((truth - newest) ** 2, axis=axes, keepdims=True))
    draws = jax.random.truncated_normal(key, -_LARGEST_DRAW, _LARGEST_DRAW, newest.shape)
    if not conserving:
        return _with_newest(inputs, newest + size * draws)
    local = jnp.minimum(size, newest * (_MOST_TAKEN / _LARGEST_DRAW))
    weight = jnp.sum(local, axis=axes, keepdims=True)
    centre = jnp.sum(local * draws, axis=axes, keepdims=True) / jnp.where(weight > 0, weight, 1.0)
    return _with_newest(inputs, newest + local * (draws - centre))


def horizon_at(config: TrainingConfig, fraction: float) -> int:
    """Steps ahead at this share of the training: all lengths have an equal part of the curriculum's time."""
    if config.curriculum == 0 or fraction >= config.curriculum:
        return config.unroll
    return 1 + int(fraction / config.curriculum * (config.unroll - 1) + 1e-9) if config.unroll > 1 else 1


def _with_newest(inputs: Inputs, newest: Float[Array, "b h w c"]) -> Inputs:
    return inputs._replace(history=jnp.concatenate([inputs.history[:, :-1], newest[:, None]], axis=1))
