"""One step of AdamW on the loss, compiled once per shape; its state is donated.

Weights are those of one pytree each, so that the step runs the same in flax's graph and tree modes.

Reference: Loshchilov & Hutter, Decoupled weight decay regularization, ICLR (2019).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, Int

from nvp.model.inputs import Inputs
from nvp.model.nvp import NVP, Prediction
from nvp.training.config import TrainingConfig
from nvp.training.loss import Loss, loss_of

# share of a training in which the learning rate rises
WARM_UP = 0.05


# parameters or fitted constants of a network
Weights = nnx.State[Any, Any]


class TrainState(NamedTuple):
    """All that changes in training; where it stands in the data follows from `step`."""

    params: Weights
    opt_state: optax.OptState
    # running mean of the parameters
    ema: Weights
    step: Int[Array, ""]


def split(model: NVP) -> tuple[nnx.GraphDef[NVP], Weights, Weights]:
    """Structure, parameters and constants."""
    parts: tuple[nnx.GraphDef[NVP], Weights, Weights] = nnx.split(model, nnx.Param, ...)  # type: ignore[assignment]
    return parts


def optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    """AdamW without its learning rate, which the host gives per step; kernels alone decay."""
    return optax.chain(
        optax.clip_by_global_norm(config.clip),
        optax.scale_by_adam(b2=0.99),
        optax.add_decayed_weights(
            config.weight_decay or 0.0, mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)
        ),
    )


def first_state(model: NVP, config: TrainingConfig) -> tuple[nnx.GraphDef[NVP], TrainState, Weights]:
    """Structure of the model, state before the first step, and the constants fitted on the data."""
    graph, params, constants = split(model)
    ema = jax.tree.map(jnp.copy, params)
    return graph, TrainState(params, optimizer(config).init(params), ema, jnp.zeros((), jnp.int32)), constants


def learning_rate(config: TrainingConfig, fraction: float) -> float:
    """Linear rise, then a cosine to 0, over the share of the training that is done."""
    peak = config.learning_rate or 0.0
    if fraction < WARM_UP:
        return peak * max(fraction / WARM_UP, 0.02)
    return peak * 0.5 * (1 + float(np.cos(np.pi * min(1.0, (fraction - WARM_UP) / (1 - WARM_UP)))))


@partial(jax.jit, static_argnames=("graph", "config"), donate_argnames=("state",))
def train_step(
    graph: nnx.GraphDef[NVP],
    config: TrainingConfig,
    state: TrainState,
    constants: Weights,
    inputs: Inputs,
    truth: Float[Array, "b h w c"],
    rate: Float[Array, ""],
) -> tuple[TrainState, Loss]:
    """The state after one batch, and the terms of its loss before."""
    key = jax.random.fold_in(jax.random.key(config.rng_seed), state.step)

    def objective(params: Weights) -> tuple[Array, Loss]:
        model = nnx.merge(graph, params, constants, copy=True)
        terms = loss_of(model(inputs, key if config.dropout else None), inputs.history[:, -1], truth)
        return terms.error + config.variance_weight * terms.likelihood, terms

    gradients, terms = jax.grad(objective, has_aux=True)(state.params)
    with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer powers
        direction, opt_state = optimizer(config).update(gradients, state.opt_state, state.params)
    params = jax.tree.map(lambda p, d: p - rate * d, state.params, direction)
    # a decay that grows with the number of steps replaces the correction of the mean's bias
    n = state.step.astype(jnp.float32)
    decay = jnp.minimum(config.ema, (1 + n) / (10 + n))
    ema = jax.tree.map(lambda e, p: decay * e + (1 - decay) * p, state.ema, params)
    return TrainState(params, opt_state, ema, state.step + 1), terms


@partial(jax.jit, static_argnames=("graph",))
def predict_step(
    graph: nnx.GraphDef[NVP],
    params: Weights,
    constants: Weights,
    inputs: Inputs,
    noise: Float[Array, "b n"] | None = None,
) -> Any:
    """One step ahead, as a `Prediction`; `noise` makes it one member's."""
    prediction: Prediction = nnx.merge(graph, params, constants, copy=True)(inputs, noise=noise)
    return prediction
