"""A batch worked off in parts, for a step that is that of the whole batch.

The loss is no mean of its parts' losses (it is a ratio of sums over the batch), so that the mean of their gradients is
not its gradient. Therefore three passes: the parts forward, which leaves what the network says of each example; the
loss of the whole batch and its derivative with respect to what was said; the parts once more, each pulling its share of
that derivative back to the parameters. It costs one more forward pass, and the memory of one part.

Reference: Gao et al., Scaling deep contrastive learning batch size under memory limited setup, RepL4NLP (2021).
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from nvp.model.nvp import NVP
from nvp.training.data import Batch
from nvp.training.loss import Loss
from nvp.training.step import NextState, Plan, TrainState, Weights, forward, judge, step_key, updated
from nvp.training.unroll import Rollout


def train_in_parts(
    goal: NextState,
    state: TrainState,
    constants: Weights,
    parts: list[Batch],
    rate: Float[Array, ""] | np.float32,
    seed: UInt32[Array, ""] | np.uint32,
) -> tuple[TrainState, Loss]:
    """The state after the batch that these parts make up, and its loss before."""
    graph, plan = goal.graph, goal.plan
    keys = [_key(seed, state.step, np.int32(number)) for number in range(len(parts))]
    said = [_forward(graph, plan, state.params, constants, part, key) for part, key in zip(parts, keys, strict=True)]
    loss, shares = _judge(plan, said, parts)
    gradients = jax.tree.map(jnp.zeros_like, state.params)
    for part, key, share in zip(parts, keys, shares, strict=True):
        gradients = _pull(graph, plan, gradients, state.params, constants, part, key, share)
    return _update(plan, state, gradients, loss, rate), loss


@jax.jit
def _key(seed: UInt32[Array, ""], step: Int[Array, ""], number: Int[Array, ""]) -> PRNGKeyArray:
    return jax.random.fold_in(step_key(seed, step), number)


@partial(jax.jit, static_argnames=("graph", "plan"))
def _forward(
    graph: nnx.GraphDef[NVP], plan: Plan, params: Weights, constants: Weights, part: Batch, key: PRNGKeyArray
) -> Rollout:
    return forward(graph, plan, params, constants, part, key)


@partial(jax.jit, static_argnames=("plan",))
def _judge(plan: Plan, said: list[Rollout], parts: list[Batch]) -> tuple[Loss, list[Rollout]]:
    """The loss of the whole, and its derivative with respect to what was said of each part."""
    batch = jax.tree.map(lambda *values: jnp.concatenate(values), *parts)

    def of(said: list[Rollout]) -> tuple[Array, Loss]:
        loss = judge(plan, jax.tree.map(lambda *values: jnp.concatenate(values), *said), batch)
        return loss.total, loss

    shares, loss = jax.grad(of, has_aux=True)(said)
    return loss, shares


@partial(jax.jit, static_argnames=("graph", "plan"), donate_argnames=("gradients",))
def _pull(
    graph: nnx.GraphDef[NVP],
    plan: Plan,
    gradients: Weights,
    params: Weights,
    constants: Weights,
    part: Batch,
    key: PRNGKeyArray,
    share: Rollout,
) -> Weights:
    """The gradients with those of one part added."""
    _, back = jax.vjp(lambda params: forward(graph, plan, params, constants, part, key), params)
    added: Weights = jax.tree.map(jnp.add, gradients, back(share)[0])
    return added


@partial(jax.jit, static_argnames=("plan",), donate_argnames=("state",))
def _update(plan: Plan, state: TrainState, gradients: Weights, loss: Loss, rate: Float[Array, ""]) -> TrainState:
    return updated(plan, state, gradients, loss, rate)
