"""Projected Newton: second-order steps among the coordinates that the box leaves free.

Coordinates at a bound that the gradient presses against it move along −g/diag(H) alone; for the others H d = −g is
solved inexactly by conjugate gradients with the diagonal as preconditioner. Where they meet a direction along which F
is not convex they stop with what they have, or, at their first step, with that direction: d always descends (Nocedal
& Wright, "Numerical Optimization", 2nd ed., algorithm 7.1). A library's solver of linear systems would run on into the
indefinite part.

Bertsekas, "Projected Newton methods for optimization problems with simple constraints", SIAM J. Control Optim. 20
(1982).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nvp.coordinator.couplings import gap
from nvp.coordinator.energy import diagonal_of_single
from nvp.coordinator.solvers.step import Point, Proposal, Setting, Solver, armijo, box, projected_gradient

NEAR = 1e-3
"""How near a bound a coordinate counts as being at it, far from the minimum."""
FLAT = 1e-6
"""Least curvature that a coordinate is preconditioned by."""


def init(setting: Setting, point: Point) -> tuple[()]:
    """Nothing to remember."""
    return ()


def propose(setting: Setting, point: Point, carry: tuple[()], rate: Float[Array, ""]) -> Proposal:
    """A Newton step, shortened along the projected path."""
    move = direction(setting, point)
    eta, step, backtracks, failed = armijo(setting, point, lambda t: box(point.eta + t * move), rate)
    return Proposal(eta, (), step, backtracks, failed, jnp.asarray(False))


def direction(setting: Setting, point: Point) -> Float[Array, "n"]:
    """d: about −H⁻¹g on the free coordinates, −g/diag(H) on those that are pressed against their bound."""
    eta, g, pairs = point.eta, point.gradient, setting.problem.pairs
    near = jnp.minimum(NEAR, jnp.abs(projected_gradient(point)).max())
    pressed = ((eta <= near) & (g > 0)) | ((eta >= 1 - near) & (g < 0))
    free = jnp.where(pressed, 0.0, setting.problem.mask)
    bend = diagonal_of_single(setting.problem, eta)
    u = gap(pairs, eta)
    stiff = 2 * pairs.w * jnp.where(pairs.two_sided | (u > 0), 1.0, 0.0)
    along_i, along_j = stiff * pairs.p, stiff * pairs.q

    def hessian(v: Float[Array, "n"]) -> Float[Array, "n"]:
        """H v, for a v that is 0 on the pressed coordinates."""
        stretch = pairs.p * v[pairs.i] + pairs.q * v[pairs.j]
        return free * (bend * v).at[pairs.i].add(along_i * stretch).at[pairs.j].add(along_j * stretch)

    diagonal = jnp.abs(bend).at[pairs.i].add(along_i * pairs.p).at[pairs.j].add(along_j * pairs.q)
    inverse = 1 / jnp.maximum(diagonal, FLAT)
    solved = truncated_cg(
        hessian, -free * g, inverse, tolerance=setting.config.cg_tolerance, most=setting.config.cg_steps
    )
    return jnp.where(pressed, -g * inverse, free * solved)


State = tuple[Array, Array, Array, Array, Array, Array]


def truncated_cg(
    matrix: Callable[[Float[Array, "n"]], Float[Array, "n"]],
    right: Float[Array, "n"],
    inverse_diagonal: Float[Array, "n"],
    *,
    tolerance: float,
    most: int,
) -> Float[Array, "n"]:
    """About the solution of `matrix` d = `right`; where the matrix is not positive, as far as it is on the way."""

    def go_on(state: State) -> Array:
        _, _, _, size, count, convex = state
        return convex & (count < most) & (size > tolerance**2 * first)

    def step(state: State) -> State:
        d, r, p, size, count, _ = state
        ahead = matrix(p)
        bend = p @ ahead
        convex = bend > 0
        length = jnp.where(convex, size / jnp.where(convex, bend, 1.0), jnp.where(count == 0, 1.0, 0.0))
        r = r - length * ahead
        z = inverse_diagonal * r
        new = r @ z
        return d + length * p, r, z + new / size * p, new, count + 1, convex

    z = inverse_diagonal * right
    first = right @ z
    start = jnp.zeros_like(right), right, z, first, jnp.zeros((), jnp.int32), first > 0
    return jax.lax.while_loop(go_on, step, start)[0]


SOLVER = Solver(init, propose)
