"""A network of one convolution behind the interface of the large one: compiles in a blink."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from nvp.dynamics.domain import domain
from nvp.model.config import NVPConfig, config_for
from nvp.model.film import dropout
from nvp.model.inputs import Inputs
from nvp.model.nvp import NVP, Fitted, Prediction
from nvp.model.padding import Conv
from nvp.model.statistics import Statistics
from nvp.training.config import TrainingConfig
from nvp.training.data import Batch, Examples
from nvp.training.recipes import suited
from nvp.training.step import Plan, plan_of
from tests.nvp.fields import fluid_series


class Toy(NVP):
    """state + a little of what its neighbours and the wind say; the log-variance is a parameter."""

    # another network of the same kind: nothing of NVP's own is made but its constants
    def __init__(self, config: NVPConfig, statistics: Any = None, *, rng: np.random.Generator) -> None:
        self.conv = Conv(3, 1, boundaries=("periodic", "periodic"), gain=0.1, rng=rng)
        self.log_var = nnx.Param(jnp.full((1,), -3.0, jnp.float32))
        self.share = config.dropout
        for name in Statistics.__slots__ if statistics is not None else ():
            setattr(self, name, Fitted(jnp.asarray(getattr(statistics, name))))

    def __call__(self, inputs: Inputs, key: Any = None, noise: Any = None) -> Prediction:
        state = jnp.asarray(inputs.history[:, -1])
        told = dropout(jnp.concatenate([state, jnp.asarray(inputs.context)], axis=-1), self.share, key)
        mean = state + self.conv(told)
        return Prediction(mean, jnp.broadcast_to(self.log_var[...], mean.shape), jnp.zeros(len(state)))


def setting(**settings: Any) -> tuple[TrainingConfig, NVPConfig, Plan]:
    """Configuration, model and plan of a training on the small flow."""
    series = fluid_series()
    model = config_for(domain(series.domain), series)
    config = suited(TrainingConfig(**settings), model, domain(series.domain))
    model = replace(model, dropout=config.dropout or 0.0)
    return config, model, plan_of(config, model)


def batch(model: NVPConfig, numbers: Any = range(4), *, horizon: int = 1) -> Batch:
    """Some windows of two series, on the device."""
    examples = Examples(model, [fluid_series(), fluid_series(seed=1)])
    chosen = examples.numbers_for(horizon)[list(numbers)]
    return jax.tree.map(jnp.asarray, examples.rollouts(chosen, horizon))
