"""Proximal splitting: a gradient step on the wells, then the exact proximal step of one coupling after the other.

Couplings of one colour share no module, so that a whole class moves at once and the result is that of the sequence.
With a fixed τ the sweeps settle beside the minimum, by O(τ); here τ is halved whenever a sweep no longer gains, so
that they come to rest at the minimum itself.

Bertsekas, "Incremental proximal methods for large scale convex optimization", Mathematical Programming 129 (2011).
"""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from nvp.coordinator import bounds
from nvp.coordinator.energy import single
from nvp.coordinator.problem import Pairs
from nvp.coordinator.prox import prox_pair
from nvp.coordinator.solvers.coordinate import _select
from nvp.coordinator.solvers.step import Point, Proposal, Setting, Solver, box


def init(setting: Setting, point: Point) -> tuple[()]:
    """Nothing to remember: the rate that rejections leave is what τ is scaled by."""
    return ()


def propose(setting: Setting, point: Point, carry: tuple[()], rate: Float[Array, ""]) -> Proposal:
    """One sweep."""
    problem = setting.problem
    if setting.layout is None:
        raise ValueError("proximal splitting needs the colours of the couplings")
    curvature = bounds.single_curvature(problem).max()
    # the gradient step on the wells must not overshoot
    longest = jnp.where(jnp.isfinite(curvature) & (curvature > 0), 1 / curvature, jnp.inf)
    tau = rate * jnp.minimum(setting.config.prox_tau, longest)

    def sweep(eta: Float[Array, "n"], edges: Int[Array, "k"]) -> tuple[Float[Array, "n"], None]:
        near = _held(_select(problem.pairs, edges), problem.mask, eta)
        x, y = prox_pair(near, eta[near.i], eta[near.j], tau)
        real = near.w > 0  # empty places all point at module 0
        moved = eta.at[near.i].add(jnp.where(real, x - eta[near.i], 0.0))
        return moved.at[near.j].add(jnp.where(real, y - eta[near.j], 0.0)), None

    eta = box(point.eta - tau * problem.mask * jax.grad(single, argnums=1)(problem, point.eta))
    eta, _ = jax.lax.scan(sweep, eta, setting.layout.colours)
    return Proposal(box(eta), (), tau, jnp.zeros((), jnp.int32), jnp.asarray(False), jnp.asarray(False))


def _held(near: Pairs, mask: Float[Array, "n"], eta: Float[Array, "n"]) -> Pairs:
    """The couplings with an end that may not move as part of their margin: u stays what it is."""
    stays_i, stays_j = mask[near.i] <= 0, mask[near.j] <= 0
    fixed = jnp.where(stays_i, near.p * eta[near.i], 0.0) + jnp.where(stays_j, near.q * eta[near.j], 0.0)
    p, q = jnp.where(stays_i, 0.0, near.p), jnp.where(stays_j, 0.0, near.q)
    return replace(near, p=p, q=q, m=near.m - fixed)


SOLVER = Solver(init, propose)
