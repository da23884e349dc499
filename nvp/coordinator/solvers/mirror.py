"""Mirror descent on logits: ζ = ln(η/(1 − η)), ζ⁺ = ζ − t·η(1 − η)∇F, which never leaves the box.

The metric vanishes at a bound, so a state there is first drawn inside: far where the gradient pulls it inwards,
hardly where it is pressed outwards. Where that costs energy, the guard refuses the step, and the next one is drawn
half as far.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nvp.coordinator.solvers.step import Point, Proposal, Setting, Solver, armijo

INSIDE = 1e-9
PULLED = 1e-2
FIRST = 4.0
"""η(1 − η) ≤ 1/4: a step of 4 in ζ moves η as much as a step of at most 1 in η would."""


def init(setting: Setting, point: Point) -> Float[Array, ""]:
    """The step that was accepted last, which the next one starts from doubled."""
    return jnp.asarray(FIRST, point.energy.dtype)


def propose(setting: Setting, point: Point, last: Float[Array, ""], rate: Float[Array, ""]) -> Proposal:
    """One step along −∇F in the metric of the logits."""
    inside = drawn_inside(point, rate)
    slope = inside * (1 - inside) * point.gradient

    def path(step: Float[Array, ""]) -> Float[Array, "n"]:
        moved = jax.nn.sigmoid(logit(inside) - step * slope)
        return jnp.where(setting.problem.mask > 0, moved, point.eta)

    eta, step, backtracks, failed = armijo(setting, point, path, 2 * rate * last)
    return Proposal(eta, jnp.where(failed, last, step), step, backtracks, failed, jnp.asarray(False))


def drawn_inside(point: Point, rate: Float[Array, ""]) -> Float[Array, "n"]:
    """The state with its logits finite, and not frozen where the gradient would free them."""
    low = jnp.where(point.gradient < 0, PULLED * rate, INSIDE)
    high = jnp.where(point.gradient > 0, PULLED * rate, INSIDE)
    return jnp.clip(point.eta, jnp.maximum(low, INSIDE), 1 - jnp.maximum(high, INSIDE))


def logit(eta: Float[Array, "n"]) -> Float[Array, "n"]:
    """ln(η/(1 − η)) of states inside the box."""
    return jnp.log(eta) - jnp.log1p(-eta)


SOLVER = Solver(init, propose)
