"""F(η), the sum of all terms, as one fused function; its gradient comes from `jax.grad`.

Everything here runs in float64 (see `precision`): tolerances of 1e-10 are below what float32 can tell apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nvp.coordinator import couplings, modules
from nvp.coordinator.problem import Problem

P = ParamSpec("P")
R = TypeVar("R")


def precision(function: Callable[P, R]) -> Callable[P, R]:
    """Run in float64, whatever the session uses elsewhere; compiled code is cached apart."""

    @wraps(function)
    def doubled(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return doubled


def weighed(problem: Problem, weights: Float[Array, "t"]) -> Problem:
    """The problem with the weight of each term multiplied into its coefficients: a solver does this once."""

    def times(family: Any, *names: str) -> Any:
        factor = weights[family.term]
        return replace(family, **{name: getattr(family, name) * factor for name in names})

    return replace(
        problem,
        wells=times(problem.wells, "a", "b", "h"),
        polynomials=times(problem.polynomials, "w"),
        pairs=times(problem.pairs, "w"),
        gates=times(problem.gates, "w"),
        powers=times(problem.powers, "w"),
        redemptions=times(problem.redemptions, "w"),
        weights=jnp.ones_like(weights),
    )


def scaled_couplings(problem: Problem, scale: Float[Array, ""]) -> Problem:
    """The problem with every coupling, named in the weights or not, multiplied by `scale`."""
    families = {name: getattr(problem, name) for name in ("pairs", "gates", "powers", "redemptions")}
    return replace(problem, **{name: replace(family, w=family.w * scale) for name, family in families.items()})


def single(problem: Problem, eta: Float[Array, "n"]) -> Float[Array, ""]:
    """The terms that see one order parameter each: their Hessian is diagonal."""
    return (
        modules.well(problem.wells, eta).sum()
        + modules.polynomial(problem.polynomials, eta).sum()
        + couplings.gate(problem.gates, problem.delta, eta).sum()
        + couplings.power(problem.powers, problem.delta, eta).sum()
        + couplings.redemption(problem.redemptions, eta).sum()
    )


def energy(problem: Problem, eta: Float[Array, "n"]) -> Float[Array, ""]:
    """F(η) of a problem that has been weighed."""
    return single(problem, eta) + couplings.pair(problem.pairs, eta).sum() + problem.price


def value_and_grad(problem: Problem, eta: Float[Array, "n"]) -> tuple[Float[Array, ""], Float[Array, "n"]]:
    """F and ∇F among the order parameters that may move."""
    value, slope = jax.value_and_grad(energy, argnums=1)(problem, eta)
    return value, slope * problem.mask


def gradient(problem: Problem, eta: Float[Array, "n"]) -> Float[Array, "n"]:
    """∇F among the order parameters that may move."""
    return value_and_grad(problem, eta)[1]


def term_energies(problem: Problem, eta: Float[Array, "n"]) -> Float[Array, "t"]:
    """The energy of each term, summed over its instances; γ·N belongs to none."""
    count = problem.weights.shape[0]
    parts = (
        (modules.well(problem.wells, eta), problem.wells.term),
        (modules.polynomial(problem.polynomials, eta), problem.polynomials.term),
        (couplings.pair(problem.pairs, eta), problem.pairs.term),
        (couplings.gate(problem.gates, problem.delta, eta), problem.gates.term),
        (couplings.power(problem.powers, problem.delta, eta), problem.powers.term),
        (couplings.redemption(problem.redemptions, eta), problem.redemptions.term),
    )
    sums = [jax.ops.segment_sum(values, term, count) for values, term in parts]
    return problem.weights * jnp.stack(sums).sum(axis=0)


def term_gradients(problem: Problem, eta: Float[Array, "n"]) -> Float[Array, "t n"]:
    """∂F_term/∂η."""
    found: Float[Array, "t n"] = jax.jacrev(term_energies, argnums=1)(problem, eta)
    return found


def diagonal_of_single(problem: Problem, eta: Float[Array, "n"]) -> Float[Array, "n"]:
    """The Hessian of `single`, exactly: it is diagonal, so one product with the vector of ones reads it off."""
    slope = jax.grad(single, argnums=1)
    diagonal: Float[Array, "n"] = jax.jvp(lambda at: slope(problem, at), (eta,), (jnp.ones_like(eta),))[1]
    return diagonal


def diagonal(problem: Problem, eta: Float[Array, "n"]) -> Float[Array, "n"]:
    """The diagonal of ∇²F."""
    pairs = problem.pairs
    stiff = 2 * pairs.w * jnp.where(pairs.two_sided | (couplings.gap(pairs, eta) > 0), 1.0, 0.0)
    own = diagonal_of_single(problem, eta)
    return own.at[pairs.i].add(stiff * pairs.p**2).at[pairs.j].add(stiff * pairs.q**2)
