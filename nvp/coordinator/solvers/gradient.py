"""Projected gradient: η⁺ = P(η − αd), d = ∇F or what is made of it.

With line search, the first trial is Barzilai & Borwein's ⟨s, s⟩/⟨s, y⟩ (IMA J. Numerical Analysis 8, 1988), the
inverse of the curvature along the step before; without, α is fixed, and the guard holds it below 2/L, where F cannot
rise.

d may be ∇F at unit length or held below a length, where α is a length in η; or D⁻¹∇F, D the largest curvature of each
coordinate. F then cannot rise while α‖d‖/‖∇F‖ < 2/L, or α < 2/L_D, L_D the largest of Gershgorin's rows over D, since
D⁻¹H has the eigenvalues of D^(−½)HD^(−½).
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from nvp.coordinator import bounds
from nvp.coordinator.solvers.step import Point, Proposal, Setting, Solver, armijo, box

SHORTEST, LONGEST = 1e-6, 1e6
FLAT = 1e-6
"""Least curvature that a coordinate is divided by."""


class Memory(NamedTuple):
    """The point before."""

    eta: Float[Array, "n"]
    gradient: Float[Array, "n"]


def init(setting: Setting, point: Point) -> Memory:
    """No step yet."""
    return Memory(point.eta, point.gradient)


def propose(setting: Setting, point: Point, memory: Memory, rate: Float[Array, ""]) -> Proposal:
    """One step along −d."""
    config = setting.config
    now = Memory(point.eta, point.gradient)
    fixed = jnp.asarray(config.step_size, point.energy.dtype)
    d, curvature = direction(setting, point)
    if not config.line_search:
        if config.stability_guard:
            fixed = jnp.minimum(fixed, config.stability_cap_fraction * 2 / curvature)
        step = rate * fixed
        eta = box(point.eta - step * d)
        return Proposal(eta, now, step, jnp.zeros((), jnp.int32), jnp.asarray(False), jnp.asarray(False))
    first = fixed
    if config.precondition:
        first = jnp.ones_like(fixed)
    elif not config.unit_gradient and config.max_gradient_norm is None:
        moved, turned = point.eta - memory.eta, point.gradient - memory.gradient
        bend = moved @ turned
        length = (moved @ moved) / jnp.where(bend > 0, bend, 1.0)
        first = jnp.where(bend > 0, jnp.clip(length, SHORTEST, LONGEST), fixed)
    eta, step, backtracks, failed = armijo(setting, point, lambda t: box(point.eta - t * d), rate * first)
    return Proposal(eta, now, step, backtracks, failed, jnp.asarray(False))


def direction(setting: Setting, point: Point) -> tuple[Float[Array, "n"], Float[Array, ""]]:
    """d, and how curved F is at most along it: a step below 2 over that cannot raise F."""
    config, d = setting.config, point.gradient
    curvature = setting.lipschitz
    if config.precondition:
        own = bounds.coordinate_curvature(setting.problem)
        bounded = jnp.isfinite(own)
        d = d / jnp.where(bounded, jnp.maximum(own, FLAT), 1.0)
        scaled = bounds.rows(setting.problem) / jnp.where(bounded, jnp.maximum(own, FLAT), 1.0)
        curvature = scaled.max()
    steepness = jnp.sqrt(d @ d)
    factor = jnp.ones_like(steepness)
    if config.unit_gradient:
        factor = 1 / jnp.where(steepness > 0, steepness, 1.0)
    if config.max_gradient_norm is not None:
        after = factor * steepness
        factor = factor * jnp.minimum(1.0, config.max_gradient_norm / jnp.where(after > 0, after, 1.0))
    return factor * d, factor * curvature


SOLVER = Solver(init, propose)
