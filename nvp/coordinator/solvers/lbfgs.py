"""L-BFGS (optimistix) on logits: a step is a short run of the library's minimiser in ζ, where there is no box.

Minima at a bound lie at infinite ζ and are approached, not reached; projected Newton reaches them.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array, Float

from nvp.coordinator.energy import energy
from nvp.coordinator.solvers.mirror import drawn_inside, logit
from nvp.coordinator.solvers.step import Point, Proposal, Setting, Solver

INNER_STEPS = 32


def init(setting: Setting, point: Point) -> tuple[()]:
    """Nothing to remember: each step starts with the steepest direction."""
    return ()


def propose(setting: Setting, point: Point, carry: tuple[()], rate: Float[Array, ""]) -> Proposal:
    """`INNER_STEPS` steps of L-BFGS."""

    def state(zeta: Float[Array, "n"]) -> Float[Array, "n"]:
        return jnp.where(setting.problem.mask > 0, jax.nn.sigmoid(zeta), point.eta)

    def of_logits(zeta: Float[Array, "n"], _: Any) -> Float[Array, ""]:
        return energy(setting.problem, state(zeta))

    start = logit(drawn_inside(point, rate))
    method: Any = optx.LBFGS(rtol=1e-12, atol=1e-12)
    # the library mixes kinds of numbers
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        found = optx.minimise(of_logits, method, start, max_steps=INNER_STEPS, throw=False).value
    return Proposal(state(found), (), rate, jnp.zeros((), jnp.int32), jnp.asarray(False), jnp.asarray(False))


SOLVER = Solver(init, propose)
