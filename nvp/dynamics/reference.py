"""What physics alone predicts: transport of E in the velocity of time t, which stays as it is.

Two reference solvers for domains whose velocity is known: the domain's own finite-volume step, and first-order upwind,
both sub-stepped as positivity demands (at most half a cell per sub-step). They are told what a network is told.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nvp.dynamics.domain import Boundary
from nvp.dynamics.transport import Faces, advance
from nvp.dynamics.vorticity import faces_of_velocity


@partial(jax.jit, static_argnames=("boundary_x", "boundary_y", "high_order"))
def carry(
    energy: Float[Array, "n h w"],
    velocity: Float[Array, "n h w 2"],
    source: Float[Array, "n h w"],
    *,
    duration: float | Float[Array, ""],
    diffusivity: float | Float[Array, ""],
    boundary_x: Boundary,
    boundary_y: Boundary,
    high_order: bool,
) -> Float[Array, "n h w"]:
    """n fields after `duration` in velocities and sources (Q >= 0 per unit time) that do not change."""

    def one(e: Float[Array, "h w"], u: Float[Array, "h w 2"], q: Float[Array, "h w"]) -> Float[Array, "h w"]:
        periodic = boundary_x == boundary_y == "periodic"
        faces = faces_of_velocity(u) if periodic else mean_faces(u, boundary_x, boundary_y)
        return advance(
            e,
            faces,
            duration=duration,
            diffusivity=diffusivity,
            source=q,
            boundary_x=boundary_x,
            boundary_y=boundary_y,
            high_order=high_order,
        ).energy

    return jax.vmap(one)(energy, velocity, source)


def mean_faces(centres: Float[Array, "h w 2"], boundary_x: Boundary, boundary_y: Boundary) -> Faces:
    """Velocity on the faces as the mean of the cells on both sides."""
    u = jnp.pad(centres[..., 0], ((0, 0), (1, 1)), mode="wrap" if boundary_x == "periodic" else "edge")
    v = jnp.pad(centres[..., 1], ((1, 1), (0, 0)), mode="wrap" if boundary_y == "periodic" else "edge")
    return Faces(x=0.5 * (u[:, 1:] + u[:, :-1]), y=0.5 * (v[1:] + v[:-1]))
