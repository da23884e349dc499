"""The running mean of the parameters, which is what is validated and kept."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np

from nvp.dynamics.domain import domain
from nvp.model.config import config_for
from nvp.model.nvp import NVP
from nvp.model.statistics import fit_statistics
from nvp.training.config import TrainingConfig
from nvp.training.data import Examples
from nvp.training.recipes import suited
from nvp.training.step import NextState, first_state, plan_of, train_step
from tests.nvp.fields import fluid_series


def test_running_mean_follows_the_parameters_at_a_decay_that_grows() -> None:
    series = fluid_series()
    model = replace(config_for(domain(series.domain), series), widths=(8, 8, 8), latent=16)
    config = suited(TrainingConfig(ema=0.2), model)
    plan = plan_of(config, model)
    network = NVP(model, fit_statistics(model, [series]), rng=np.random.default_rng(0))
    graph, state, constants = first_state(network, plan)
    batch = Examples(model, [series]).rollouts(np.arange(4), 1)
    mean = jax.tree.map(np.array, state.ema)
    for step in range(3):
        state, _ = train_step(NextState(graph, plan), state, constants, batch, np.float32(1e-2), np.uint32(0))
        decay = min(0.2, (1 + step) / (10 + step))
        mean = jax.tree.map(lambda m, p, d=decay: d * m + (1 - d) * np.array(p), mean, state.params)
        jax.tree.map(lambda got, want: np.testing.assert_allclose(got, want, atol=1e-6), state.ema, mean)
    last = jax.tree.leaves(state.params)
    assert any(not np.allclose(p, e, atol=1e-5) for p, e in zip(last, jax.tree.leaves(state.ema), strict=True))
