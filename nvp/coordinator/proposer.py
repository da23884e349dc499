"""A learnt first state for relaxations: a few rounds of a small network that sees how each order parameter is pulled.

In each round a module sees its own η, slope and curvature, and where its own Newton step, the others held, would lead,

    t_i = P(η_i − ∂_iF / max(∂²_iF, ¼)),    η_i ← η_i + σ(α)(σ(logit t_i + β) − η_i),    (α, β) = MLP(what i sees)

with one network for all modules and rounds, so that it serves graphs of any size and order. Couplings act by the
slopes, which are taken anew in every round: a round costs one gradient of F, no more than a step of the relaxation that
it is to save. Trained on graphs that were relaxed before, on the distance to where they came to rest and on the energy
above it.

Gregor & LeCun, "Learning fast approximations of sparse coding", ICML 2010.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float

from nvp.coordinator.amortise import confidence
from nvp.coordinator.batch import stack
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.energy import diagonal, energy, precision, value_and_grad, weighed
from nvp.coordinator.many import relax_many
from nvp.coordinator.problem import Problem, build
from nvp.errors import FieldError

ROUNDS = 3
HIDDEN = 32
SEEN = 4
STIFF = 0.25
"""Least curvature of a Newton step."""
INSIDE = 1e-3
"""η is kept so far from 0 and 1 under the logit."""
SOLVED = RelaxConfig(mode="newton", steps=100)


class Proposer(nnx.Module):
    """η0 of a weighed problem; untrained, half of each Newton step is taken."""

    def __init__(self, hidden: int = HIDDEN, *, rngs: nnx.Rngs) -> None:
        self.inner = nnx.Linear(SEEN, hidden, param_dtype=jnp.float64, rngs=rngs)
        self.outer = nnx.Linear(hidden, 2, param_dtype=jnp.float64, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(self, problem: Problem) -> Float[Array, "n"]:
        eta = 0.5 * problem.mask
        for _ in range(ROUNDS):
            eta = self.refined(problem, eta)
        return eta

    def refined(self, problem: Problem, eta: Float[Array, "n"]) -> Float[Array, "n"]:
        """One round."""
        slope = value_and_grad(problem, eta)[1]
        bend = diagonal(problem, eta)
        target = jnp.clip(eta - slope / jnp.maximum(bend, STIFF), 0.0, 1.0)
        sees = jnp.stack([2 * eta - 1, jnp.tanh(slope), jnp.tanh(bend / 4), target - eta], axis=-1)
        alpha, beta = jnp.moveaxis(self.outer(jax.nn.silu(self.inner(sees))), -1, 0)
        inside = jnp.clip(target, INSIDE, 1 - INSIDE)
        moved = jax.nn.sigmoid(jnp.log(inside) - jnp.log1p(-inside) + beta)
        return problem.mask * jnp.clip(eta + jax.nn.sigmoid(alpha) * (moved - eta), 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A proposer with its parameters, and how its loss fell."""

    shape: Any
    parameters: Any
    losses: tuple[float, ...]

    @precision
    def propose(self, graph: CouplingGraph) -> tuple[np.ndarray, np.ndarray]:
        """η0 of a graph and how sure it is of each."""
        eta = np.asarray(_propose(self.shape, self.parameters, build(graph)))[: len(graph.modules)]
        return eta, confidence(eta)


@precision
def train_proposer(
    graphs: Sequence[CouplingGraph],
    *,
    seed: int = 0,
    steps: int = 300,
    rate: float = 1e-2,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Trained:
    """Relax the graphs from the middle of the box, and learn to begin near where they came to rest."""
    if not graphs or steps < 1:
        raise FieldError(
            "BAD_CONFIG", f"expected graphs and steps, got {len(graphs)} and {steps}.", next_step="Give some."
        )
    middle = [np.full(len(graph.modules), 0.5) for graph in graphs]
    solved = relax_many(graphs, SOLVED, jax.random.key(seed), middle)
    problems = jax.device_put(stack([build(graph) for graph in graphs]))
    ends = jnp.asarray(np.stack([np.pad(each.eta, (0, problems.size - len(each.eta))) for each in solved]))
    least = jnp.asarray([float(each.energy) for each in solved])
    shape, parameters = nnx.split(Proposer(rngs=nnx.Rngs(seed)))
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(rate, steps)))
    memory = optimizer.init(parameters)
    losses = []
    for step in range(steps):
        parameters, memory, loss = _step(shape, optimizer, parameters, memory, problems, ends, least)
        losses.append(loss)
        on_progress((step + 1) / steps)
    return Trained(shape=shape, parameters=parameters, losses=tuple(float(each) for each in losses))


@partial(jax.jit, static_argnums=0)
def _propose(shape, parameters, problem):  # type: ignore[no-untyped-def]
    return nnx.merge(shape, parameters)(weighed(problem, problem.weights))


@partial(jax.jit, static_argnums=(0, 1))
def _step(shape, optimizer, parameters, memory, problems, ends, least):  # type: ignore[no-untyped-def]
    def of_graph(proposer: Proposer, problem: Problem, end: Array, lowest: Array) -> Array:
        """Distance and energy above the end, for each module."""
        ready = weighed(problem, problem.weights)
        eta = proposer(ready)
        count = problem.mask.sum()
        return ((eta - end) ** 2).sum() / count + (energy(ready, eta) - lowest) / count

    def loss(parameters: Any) -> Array:
        return jax.vmap(partial(of_graph, nnx.merge(shape, parameters)))(problems, ends, least).mean()

    value, slope = jax.value_and_grad(loss)(parameters)
    # the library mixes kinds of numbers
    with jax.numpy_dtype_promotion("standard"):
        change, memory = optimizer.update(slope, memory, parameters)
    return optax.apply_updates(parameters, change), memory, value
