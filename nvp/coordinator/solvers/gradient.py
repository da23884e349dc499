"""Projected gradient: η⁺ = P(η − α∇F(η)).

With line search, the first trial is Barzilai & Borwein's ⟨s, s⟩/⟨s, y⟩ (IMA J. Numerical Analysis 8, 1988), the
inverse of the curvature along the step before; without, α is fixed, and the guard holds it below 2/L, where F cannot
rise.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from nvp.coordinator.solvers.step import Point, Proposal, Setting, Solver, armijo, box

SHORTEST, LONGEST = 1e-6, 1e6


class Memory(NamedTuple):
    """The point before."""

    eta: Float[Array, "n"]
    gradient: Float[Array, "n"]


def init(setting: Setting, point: Point) -> Memory:
    """No step yet."""
    return Memory(point.eta, point.gradient)


def propose(setting: Setting, point: Point, memory: Memory, rate: Float[Array, ""]) -> Proposal:
    """One step along −∇F."""
    config = setting.config
    now = Memory(point.eta, point.gradient)
    fixed = jnp.asarray(config.step_size, point.energy.dtype)
    if not config.line_search:
        if config.stability_guard:
            fixed = jnp.minimum(fixed, config.stability_cap_fraction * 2 / setting.lipschitz)
        step = rate * fixed
        eta = box(point.eta - step * point.gradient)
        return Proposal(eta, now, step, jnp.zeros((), jnp.int32), jnp.asarray(False), jnp.asarray(False))
    moved, turned = point.eta - memory.eta, point.gradient - memory.gradient
    bend = moved @ turned
    length = (moved @ moved) / jnp.where(bend > 0, bend, 1.0)
    first = jnp.where(bend > 0, jnp.clip(length, SHORTEST, LONGEST), fixed)
    eta, step, backtracks, failed = armijo(setting, point, lambda t: box(point.eta - t * point.gradient), rate * first)
    return Proposal(eta, now, step, backtracks, failed, jnp.asarray(False))


SOLVER = Solver(init, propose)
