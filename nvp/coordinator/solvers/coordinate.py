"""Gauss–Southwell coordinate descent: move the order parameter that promises most, by its gradient over its curvature.

The promise counts only what the box allows: a coordinate that is pinned at its bound by a large gradient is passed
over. Gradients of the neighbours are brought up to date along the couplings of the moved one alone.

Nutini et al., "Coordinate descent converges faster with the Gauss–Southwell rule than random selection", ICML 2015.
"""

from __future__ import annotations

from dataclasses import fields

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from nvp.coordinator import bounds
from nvp.coordinator.couplings import gap, pair
from nvp.coordinator.energy import single
from nvp.coordinator.problem import Pairs
from nvp.coordinator.solvers.step import Point, Proposal, Setting, Solver


def init(setting: Setting, point: Point) -> tuple[()]:
    """Nothing to remember."""
    return ()


def propose(setting: Setting, point: Point, carry: tuple[()], rate: Float[Array, ""]) -> Proposal:
    """`coordinate_steps` moves."""
    problem, config = setting.problem, setting.config
    if setting.layout is None:
        raise ValueError("coordinate descent needs the table of incident couplings")
    incident = setting.layout.incident
    curvature = bounds.coordinate_curvature(problem)
    # where no bound is finite, the fixed step and the driver's guard; a linear coordinate runs to its bound
    curvature = jnp.where(jnp.isinf(curvature), 1 / config.step_size, jnp.maximum(curvature, 1e-12)) / rate
    slope_of_single = jax.grad(single, argnums=1)

    def move(_: Int[Array, ""], state: tuple[Array, Array]) -> tuple[Array, Array]:
        eta, of_pairs = state
        slope = problem.mask * (slope_of_single(problem, eta) + of_pairs)
        target = jnp.clip(eta - slope / curvature, 0.0, 1.0)
        best = jnp.argmax(jnp.abs(target - eta) * jnp.sqrt(curvature))
        new = eta.at[best].set(target[best])
        near = _select(problem.pairs, incident[best])
        change = _slope(near, new) - _slope(near, eta)
        return new, of_pairs.at[near.i].add(near.p * change).at[near.j].add(near.q * change)

    of_pairs = jax.grad(lambda eta: pair(problem.pairs, eta).sum())(point.eta)
    count = config.coordinate_steps or problem.size
    eta, _ = jax.lax.fori_loop(0, count, move, (point.eta, of_pairs))
    return Proposal(eta, (), rate, jnp.zeros((), jnp.int32), jnp.asarray(False), jnp.asarray(False))


def _select(pairs: Pairs, edges: Int[Array, "d"]) -> Pairs:
    """Some of the couplings, each with its own direction; empty places weigh 0."""
    picked = {each.name: getattr(pairs, each.name).at[edges].get(mode="fill", fill_value=0) for each in fields(pairs)}
    return Pairs(**picked)


def _slope(pairs: Pairs, eta: Float[Array, "n"]) -> Float[Array, "d"]:
    """d/du of w·φ(u)²."""
    u = gap(pairs, eta)
    return 2 * pairs.w * jnp.where(pairs.two_sided | (u > 0), u, 0.0)


SOLVER = Solver(init, propose)
