"""What a step does along its gradient; and the running mean of the parameters, which is what is validated and kept."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nvp.training.loss import Loss
from nvp.training.step import NextState, Plan, TrainState, first_state, train_step, updated
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


def along(plan: Plan, gradient: float, rate: float) -> tuple[TrainState, TrainState]:
    """The state before and after a step along a gradient that is this everywhere."""
    _, model, _ = setting()
    _, state, _ = first_state(Toy(model, rng=np.random.default_rng(0)), plan)
    gradients = jax.tree.map(lambda leaf: jnp.full_like(leaf, gradient), state.params)
    return state, updated(plan, state, gradients, Loss(jnp.float32(0), {}), jnp.float32(rate))


def test_kernels_decay_and_nothing_else_does() -> None:
    before, after = along(setting(weight_decay=0.5, ema=0.0)[2], 0.0, 0.1)
    shrunk: dict[bool, list[Any]] = {True: [], False: []}
    for old, new in zip(jax.tree.leaves(before.params), jax.tree.leaves(after.params), strict=True):
        shrunk[old.ndim > 1].append(np.allclose(new, 0.95 * old) and not np.allclose(new, old))
    assert shrunk[True] == [True]
    assert not any(shrunk[False])


def test_a_gradient_is_no_longer_than_the_limit() -> None:
    for length, kept in ((100.0, 2.0), (1e-3, None)):
        before, after = along(setting(clip=2.0)[2], length, 0.1)
        whole = length * np.sqrt(sum(leaf.size for leaf in jax.tree.leaves(before.params)))
        # the mean that Adam begins with is a tenth of the first gradient
        (adam,) = (part for part in after.opt_state if isinstance(part, optax.ScaleByAdamState))
        found = 10 * float(optax.tree.norm(adam.mu))
        assert found == pytest.approx(whole if kept is None else kept, rel=1e-4)
