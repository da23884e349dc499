"""How the relaxed state answers to the weights, and weights learnt by it: the outer loop with a gradient of its own.

At a minimum η*(w) on the box let f be the coordinates strictly inside. There ∇_f F(η*; w) = 0, and F is linear in w, so
by the implicit function theorem, with the Hessian H_ff positive definite,

    dη*_f/dw_t = −H_ff⁻¹ ∇_f F_t,        dℓ(η*)/dw_t = −⟨∇_f F_t, λ⟩,   H_ff λ = ∇_f ℓ

while coordinates at a bound stay there (those that the bound only just holds, with slope 0, have one-sided derivatives
alone; they count as held). One linear system answers for all weights, however many there are. It is solved by conjugate
gradients on Hessian-vector products; where H_ff turns out not to be positive, or the solution is not one, the answer is
not trusted and counts as 0.

Krantz & Parks, "The Implicit Function Theorem" (2002); Blondel et al., "Efficient and modular implicit
differentiation", NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import lineax as lx
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.energy import energy, gradient, precision, term_gradients, weighed
from nvp.coordinator.problem import Problem
from nvp.coordinator.relax import descend

TRUSTED = 1e-6
"""The residual of the linear system, relative to its right side, up to which its solution is one."""
SETTLED = RelaxConfig(mode="newton", steps=100, gradient_tolerance=1e-10)

Outer = Callable[[Problem, Float[Array, "n"], Float[Array, "n"]], Float[Array, ""]]
"""ℓ(problem with all weights 1, η*, target): what the weights are to make small."""


class Answer(NamedTuple):
    """dℓ/dw, and whether the theorem applied."""

    slope: Float[Array, "t"]
    trusted: Bool[Array, ""]


class Learnt(NamedTuple):
    """What was learnt: arrays of JAX where it is compiled, of NumPy where it is handed out."""

    weights: Any
    # the relaxed states under them, (s, n)
    eta: Any
    # along the rounds, the mean of ℓ and the share of the relaxed states that were to be trusted
    losses: Any
    trusted: Any


def weight_gradient(
    problem: Problem, weights: Float[Array, "t"], eta: Float[Array, "n"], slope: Float[Array, "n"]
) -> Answer:
    """dℓ/dw at a relaxed state η of a problem that has not been weighed, from ∂ℓ/∂η there."""
    full = weighed(problem, weights)
    free = jnp.where((eta > 0) & (eta < 1), problem.mask, 0.0)

    def hessian(v: Float[Array, "n"]) -> Float[Array, "n"]:
        """H_ff on the free coordinates, the identity on the others."""
        bent: Array = jax.jvp(lambda at: gradient(full, at), (eta,), (free * v,))[1]
        return free * bent + (1 - free) * v

    right = free * slope
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # the library mixes kinds of numbers
        operator = lx.FunctionLinearOperator(hessian, jax.eval_shape(lambda: right), lx.positive_semidefinite_tag)
        solver = lx.CG(rtol=1e-10, atol=1e-14, max_steps=4 * eta.shape[0])
        found = lx.linear_solve(operator, right, solver, throw=False).value
    ahead = hessian(found)
    size = jnp.sqrt(right @ right)
    close = jnp.sqrt(jnp.sum((ahead - right) ** 2)) <= TRUSTED * size
    convex = found @ ahead >= 0
    trusted = jnp.isfinite(found).all() & ((close & convex) | (size == 0))
    plain = replace(problem, weights=jnp.ones_like(weights))
    of_terms = term_gradients(plain, eta) @ jnp.where(trusted, free * found, 0.0)
    return Answer(-of_terms, trusted)


@precision
def learn(
    problems: Problem,
    starts: Any,
    targets: Any,
    weights: Any,
    key: PRNGKeyArray,
    *,
    outer: Outer,
    rounds: int = 60,
    rate: float = 0.1,
) -> Learnt:
    """Weights that make the mean of ℓ over the examples small, by Adam on their logarithms.

    `problems` are stacked (see `batch`) and share their terms; `starts` and `targets` are (s, n), padded. Every round
    relaxes from where the round before settled. F and c·F have the same minima, so the mean of log w is held.
    """
    arrays = (jnp.asarray(starts), jnp.asarray(targets), jnp.asarray(weights))
    found: Learnt = jax.device_get(_learn(problems, *arrays, key, outer=outer, rounds=rounds, rate=rate))
    return found


@partial(jax.jit, static_argnames=("outer", "rounds", "rate"))
def _learn(problems, starts, targets, weights, key, *, outer, rounds, rate) -> Learnt:  # type: ignore[no-untyped-def]
    return learning(problems, starts, targets, weights, key, outer=outer, rounds=rounds, rate=rate)


def learning(
    problems: Problem,
    starts: Float[Array, "s n"],
    targets: Float[Array, "s n"],
    weights: Float[Array, "t"],
    key: PRNGKeyArray,
    *,
    outer: Outer,
    rounds: int,
    rate: float,
) -> Learnt:
    """`learn` as an array program, to be batched."""
    optimizer = optax.adam(rate)

    def relaxed(problem: Problem, start: Array, weights: Array) -> Array:
        return descend(problem, None, start, weights, key, config=SETTLED)[0].best_eta

    def answer(problem: Problem, eta: Array, target: Array, weights: Array) -> tuple[Array, Answer]:
        plain = weighed(problem, jnp.ones_like(weights))
        loss, slope = jax.value_and_grad(outer, argnums=1)(plain, eta, target)
        return loss, weight_gradient(problem, weights, eta, slope)

    def turn(state: tuple[Array, Array, Any], _: None) -> tuple[tuple[Array, Array, Any], tuple[Array, Array]]:
        logs, eta, moments = state
        weights = jnp.exp(logs)
        eta = jax.vmap(relaxed, in_axes=(0, 0, None))(problems, eta, weights)
        losses, answers = jax.vmap(answer, in_axes=(0, 0, 0, None))(problems, eta, targets, weights)
        slope = answers.slope.mean(axis=0) * weights
        with jax.numpy_dtype_promotion("standard"):
            change, moments = optimizer.update(slope - slope.mean(), moments, logs)
        moved = logs + change
        moved = moved - moved.mean() + logs.mean()
        return (moved, eta, moments), (losses.mean(), answers.trusted.mean(dtype=logs.dtype))

    logs = jnp.log(weights)
    (logs, eta, _), (losses, trusted) = jax.lax.scan(turn, (logs, starts, optimizer.init(logs)), None, length=rounds)
    last = jnp.exp(logs)
    eta = jax.vmap(relaxed, in_axes=(0, 0, None))(problems, eta, last)
    return Learnt(last, eta, losses, trusted)


def free_energy(plain: Problem, eta: Float[Array, "n"], target: Float[Array, "n"]) -> Float[Array, ""]:
    """ℓ = F with all weights 1."""
    return energy(plain, eta)


def squared_error(plain: Problem, eta: Float[Array, "n"], target: Float[Array, "n"]) -> Float[Array, ""]:
    """ℓ = mean (η − target)² over the modules."""
    return jnp.sum(plain.mask * (eta - target) ** 2) / plain.mask.sum()
