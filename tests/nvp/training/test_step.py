"""The running mean of the parameters, which is what is validated and kept."""

from __future__ import annotations

import jax
import numpy as np

from nvp.training.step import NextState, first_state, train_step
from tests.nvp.training.toy import Toy, batch, setting


def test_running_mean_follows_the_parameters_at_a_decay_that_grows() -> None:
    _, model, plan = setting(ema=0.2)
    graph, state, constants = first_state(Toy(model, rng=np.random.default_rng(0)), plan)
    given = batch(model)
    mean = jax.tree.map(np.array, state.ema)
    for step in range(3):
        state, _ = train_step(NextState(graph, plan), state, constants, given, np.float32(1e-2), np.uint32(0))
        decay = min(0.2, (1 + step) / (10 + step))
        mean = jax.tree.map(lambda m, p, d=decay: d * m + (1 - d) * np.array(p), mean, state.params)
        jax.tree.map(lambda got, want: np.testing.assert_allclose(got, want, atol=1e-6), state.ema, mean)
    last = jax.tree.leaves(state.params)
    assert any(not np.allclose(p, e, atol=1e-5) for p, e in zip(last, jax.tree.leaves(state.ema), strict=True))
