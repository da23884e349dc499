"""ADMM with one copy of the gap per coupling: s_e = pη_i + qη_j − m =: d_e(η), scaled multipliers u_e.

    η ← argmin over the box of  Σ single terms + ρ/2 Σ (s − d(η) + u)²      (projected Newton on the same kernels)
    s ← prox of wφ² at d − u:  ρv/(ρ + 2w) where active, v where not
    u ← u + s − d

Stops when both residuals, ‖s − d‖∞ and ρ‖Δs‖∞, and what the first update leaves undone are below tolerance. F along the
way need not fall: the driver keeps the best state, and the iteration goes on from its own.

Boyd et al., "Distributed optimization and statistical learning via the alternating direction method of multipliers",
Foundations and Trends in Machine Learning 3 (2011).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from nvp.coordinator.couplings import gap
from nvp.coordinator.energy import value_and_grad
from nvp.coordinator.solvers import newton
from nvp.coordinator.solvers.step import Point, Proposal, Setting, Solver, projected_gradient

NEWTON_STEPS = 2


class Memory(NamedTuple):
    """The iterate, the copies of the gaps, the multipliers, and both residuals."""

    eta: Float[Array, "n"]
    s: Float[Array, "e"]
    u: Float[Array, "e"]
    primal: Float[Array, ""]
    dual: Float[Array, ""]


def init(setting: Setting, point: Point) -> Memory:
    """Copies that agree, no multipliers."""
    d = gap(setting.problem.pairs, point.eta)
    far = jnp.full_like(point.energy, jnp.inf)
    return Memory(point.eta, d, jnp.zeros_like(d), far, far)


def propose(setting: Setting, point: Point, memory: Memory, rate: Float[Array, ""]) -> Proposal:
    """One round of all three updates."""
    config, pairs = setting.config, setting.problem.pairs
    rho = config.admm_rho
    springs = replace(
        pairs,
        m=pairs.m + memory.s + memory.u,
        w=jnp.full_like(pairs.w, rho / 2),
        two_sided=jnp.ones_like(pairs.two_sided),
    )
    inner = setting._replace(problem=replace(setting.problem, pairs=springs))
    eta = memory.eta
    for _ in range(NEWTON_STEPS):
        here = Point(eta, *value_and_grad(inner.problem, eta))
        eta = newton.propose(inner, here, (), jnp.ones_like(rate)).eta
    d = gap(pairs, eta)
    v = d - memory.u
    s = jnp.where(pairs.two_sided | (v > 0), rho * v / (rho + 2 * pairs.w), v)
    primal = jnp.abs(s - d).max(initial=0.0)
    dual = rho * jnp.abs(s - memory.s).max(initial=0.0)
    # gaps that agree from the beginning, as where all η are equal, say nothing about η
    left = jnp.abs(projected_gradient(Point(eta, *value_and_grad(inner.problem, eta)))).max()
    settled = jnp.maximum(jnp.maximum(primal, dual), left) <= config.admm_tolerance
    carry = Memory(eta, s, memory.u + s - d, primal, dual)
    return Proposal(eta, carry, rate, jnp.zeros((), jnp.int32), jnp.asarray(False), settled)


def told(memory: Memory) -> dict[str, Any]:
    """Both residuals at the end."""
    return {"primal_residual": memory.primal, "dual_residual": memory.dual}


SOLVER = Solver(init, propose, persistent=True, told=told)
