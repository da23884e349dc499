"""Norm balancing: every term is to pull at η about equally hard, w‖∇F_t‖ → target.

    w ← clip(w·(1 + rate·(1 − w‖∇F_t‖/target)), floor, ceiling),   the factor within ½ … 2

A term that does not pull at all (an inactive hinge, a well at its bottom) keeps its weight: otherwise it would grow to
the ceiling unseen, and then pull with all of it. `auto_balance` only brings down terms that pull far too hard.

This is *not* GradNorm, which also asks how fast each term is learnt and keeps the sum of the weights (`gradnorm`).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from nvp.coordinator.adapters.adapter import Adapter, Seen
from nvp.coordinator.problem import Problem
from nvp.errors import FieldError

STILL = 1e-12
"""A norm below which a term does not pull."""


@cache
def norm_balance(
    *, target: float = 1.0, alpha: float = 1.5, rate: float = 0.1, floor: float = 0.1, ceiling: float = 2.0
) -> Adapter:
    """Brings every norm to `target`, as far as the bounds on the weights let it."""
    within(target, floor, ceiling)

    def update(
        seen: Seen, memory: tuple[()], weights: Float[Array, "t"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "t"], Any]:
        pull = finite(weights * seen.norms)
        factor = jnp.clip(1 + rate * alpha * (1 - pull / target), 0.5, 2.0)
        # a configured weight outside the bounds moves towards them, it does not jump
        low, high = jnp.minimum(weights, floor), jnp.maximum(weights, ceiling)
        return jnp.where(pull > STILL, jnp.clip(weights * factor, low, high), weights), memory

    return Adapter(nothing, update)


@cache
def auto_balance(*, target: float = 1.0, ratio: float = 10.0) -> Adapter:
    """Scales a term down to `target` where it pulls more than `ratio` times as hard."""
    within(target, 0.0, ratio)

    def update(
        seen: Seen, memory: tuple[()], weights: Float[Array, "t"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "t"], Any]:
        pull = finite(weights * seen.norms)
        return jnp.where(pull > ratio * target, weights * target / jnp.maximum(pull, STILL), weights), memory

    return Adapter(nothing, update)


def finite(norms: Float[Array, "t"]) -> Float[Array, "t"]:
    """The norms, with the mean of the finite ones in place of the others."""
    real = jnp.isfinite(norms)
    mean = jnp.where(real, norms, 0.0).sum() / jnp.maximum(real.sum(), 1).astype(norms.dtype)
    return jnp.where(real, norms, mean)


def nothing(problem: Problem, seen: Seen) -> tuple[()]:
    """No memory."""
    return ()


def within(target: float, floor: float, ceiling: float) -> None:
    """Refuse a target or bounds of weights that make no sense."""
    if not (target > 0 and 0 <= floor < ceiling):
        raise FieldError(
            "BAD_ADAPTER",
            f"expected target > 0 and 0 <= floor < ceiling, got {target}, {floor} and {ceiling}.",
            next_step="Leave them out for the defaults.",
        )
