"""GradNorm as published: terms that are relaxed more slowly than the others get to pull harder.

With G_t = ‖∇w_tF_t‖, loss ratios L̃_t = L_t/L_t(start) and r_t = L̃_t / mean L̃, the weights descend, by Adam,

    Σ_t |G_t − mean G · r_t^α|,   its target held fixed,   ∂/∂w_t = sign(…)·‖∇F_t‖,

and are then scaled so that their sum stays what it was configured to be. Losses are to be positive, and energies need
not be: L_t is F_t above a bound that F_t cannot fall below in the box.

Chen, Badrinarayanan, Lee & Rabinovich, "GradNorm: gradient normalization for adaptive loss balancing in deep multitask
networks", ICML 2018.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from nvp.coordinator import couplings
from nvp.coordinator.adapters.adapter import Adapter, Seen
from nvp.coordinator.adapters.balance import finite, within
from nvp.coordinator.problem import Problem

LEAST = 1e-3
"""Share of the mean weight that every term keeps: the published rule lets a weight become negative."""
SMALL = 1e-12


class Memory(NamedTuple):
    """The bound below each term, its loss at the start, the sum of the weights, and Adam's moments."""

    bottom: Float[Array, "t"]
    first: Float[Array, "t"]
    total: Float[Array, ""]
    moments: Any


@cache
def gradnorm(*, alpha: float = 1.5, rate: float = 0.025) -> Adapter:
    """The published rule; `alpha` is how much slower terms are favoured, `rate` that of Adam."""
    within(rate, 0.0, 1.0)
    adam = optax.adam(rate)

    def init(problem: Problem, seen: Seen) -> Memory:
        bottom = lower_bounds(problem)
        return Memory(bottom, seen.energies - bottom, problem.weights.sum(), adam.init(problem.weights))

    def update(
        seen: Seen, memory: Memory, weights: Float[Array, "t"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "t"], Memory]:
        slope = published_slope(seen, memory, weights, alpha=alpha)
        with jax.numpy_dtype_promotion("standard"):  # the library mixes kinds of numbers
            change, moments = adam.update(slope, memory.moments, weights)
        moved = jnp.maximum(weights + change, LEAST * memory.total / len(weights))
        return moved * memory.total / jnp.maximum(moved.sum(), SMALL), memory._replace(moments=moments)

    return Adapter(init, update)


def published_slope(seen: Seen, memory: Memory, weights: Float[Array, "t"], *, alpha: float) -> Float[Array, "t"]:
    """∂/∂w of Σ_t |G_t − mean G · r_t^α|."""
    norms = finite(seen.norms)
    pull = weights * norms
    loss = seen.energies - memory.bottom
    left = jnp.where(memory.first > SMALL, loss / jnp.where(memory.first > SMALL, memory.first, 1.0), 1.0)
    slowness = left / jnp.maximum(left.mean(), SMALL)
    return jnp.sign(pull - pull.mean() * jnp.maximum(slowness, 0.0) ** alpha) * norms


def lower_bounds(problem: Problem) -> Float[Array, "t"]:
    """What the energy of each term cannot fall below anywhere in the box, as if it weighed 1; not tight."""
    wells, polynomials = problem.wells, problem.polynomials
    farthest = jnp.maximum(wells.target, 1 - wells.target)
    well = jnp.minimum(wells.a, 0.0) * farthest**2 + jnp.minimum(wells.b, 0.0) * farthest**4
    parts = [
        (well - jnp.maximum(wells.h, 0.0), wells.term),
        (-polynomials.w * jnp.abs(polynomials.coefficients).sum(axis=-1), polynomials.term),
        *(
            (-jnp.maximum(couplings.force(each, problem.delta), 0.0), each.term)
            for each in (problem.gates, problem.powers)
        ),
    ]
    count = problem.weights.shape[0]
    return jnp.stack([jax.ops.segment_sum(values, term, count) for values, term in parts]).sum(axis=0)
