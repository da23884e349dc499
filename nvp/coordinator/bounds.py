"""Bounds on the curvature of F over the whole box, by Gershgorin's rows.

A bound at the present state is no bound along the step: a hinge that is inactive now may be active at its end. Here
every hinge counts, and every well by its largest curvature in [0, 1], so that L ≥ λ_max(∇²F(η)) for each η of the box.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nvp.coordinator import couplings
from nvp.coordinator.problem import Problem, Redemptions


def single_curvature(problem: Problem) -> Float[Array, "n"]:
    """max |∂²/∂η_i²| of the terms that see one order parameter; infinite where the slope jumps or is vertical."""
    return _well_curvature(problem) + _gate_curvature(problem)


def pair_rows(problem: Problem) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """Diagonal and off-diagonal row sums of the pair couplings, all of them active."""
    pairs = problem.pairs
    across = 2 * pairs.w * jnp.abs(pairs.p * pairs.q)
    diagonal = _at_ends(problem, 2 * pairs.w * pairs.p**2, 2 * pairs.w * pairs.q**2)
    return diagonal, _at_ends(problem, across, across)


def coordinate_curvature(problem: Problem) -> Float[Array, "n"]:
    """max ∂²F/∂η_i² over the box."""
    return single_curvature(problem) + pair_rows(problem)[0]


def rows(problem: Problem) -> Float[Array, "n"]:
    """Gershgorin row sums of |∇²F|, local curvature included."""
    diagonal, across = pair_rows(problem)
    return single_curvature(problem) + diagonal + across


def lipschitz(problem: Problem) -> Float[Array, ""]:
    """L: the gradient of F changes at most L times as fast as η."""
    return rows(problem).max()


def room(problem: Problem, target: Float[Array, ""]) -> Float[Array, ""]:
    """The share of all couplings, be they named in the weights or not, at which L ≤ target; at most 1.

    What the wells alone curve beyond the target cannot be had by scaling couplings: they then vanish.
    """
    wells = _well_curvature(problem)
    coupled = rows(problem) - wells
    fits = jnp.where(coupled > 0, (target - wells) / jnp.where(coupled > 0, coupled, 1.0), 1.0)
    return jnp.clip(fits.min(), 0.0, 1.0)


def _well_curvature(problem: Problem) -> Float[Array, "n"]:
    wells, polynomials = problem.wells, problem.polynomials
    farthest = jnp.maximum(wells.target, 1 - wells.target)
    bend = jnp.maximum(jnp.abs(2 * wells.a), jnp.abs(2 * wells.a + 12 * wells.b * farthest**2))
    return bend + jax.ops.segment_sum(polynomials.w * polynomials.bend, polynomials.i, problem.size)


def _gate_curvature(problem: Problem) -> Float[Array, "n"]:
    gates, redemptions = problem.powers, problem.redemptions
    pull = jnp.abs(couplings.force(gates, problem.delta))
    vertical = (gates.power > 1) & (gates.power < 2)
    bend = pull * jnp.where(vertical & (pull > 0), jnp.inf, gates.power * (gates.power - 1))
    jump = jnp.where(_kinked(redemptions) & (redemptions.w > 0), jnp.inf, 2 * redemptions.w * redemptions.scale**2)
    return jax.ops.segment_sum(jnp.where(pull > 0, bend, 0.0), gates.i, problem.size) + jax.ops.segment_sum(
        jump, redemptions.j, problem.size
    )


def _kinked(redemptions: Redemptions) -> Array:
    """Whether the slope of a redemption jumps inside the box: where |ŷ − f(η)| passes √margin > 0."""
    first = redemptions.target - redemptions.offset
    last = first - redemptions.scale
    largest = jnp.maximum(jnp.abs(first), jnp.abs(last))
    smallest = jnp.where(first * last <= 0, 0.0, jnp.minimum(jnp.abs(first), jnp.abs(last)))
    kink = jnp.sqrt(redemptions.margin)
    return (kink > 0) & (smallest < kink) & (kink < largest)


def _at_ends(problem: Problem, at_i: Float[Array, "e"], at_j: Float[Array, "e"]) -> Float[Array, "n"]:
    size = problem.size
    return jax.ops.segment_sum(at_i, problem.pairs.i, size) + jax.ops.segment_sum(at_j, problem.pairs.j, size)
