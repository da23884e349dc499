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
from nvp.dynamics.transport import Advanced, advance, mean_faces
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
) -> Advanced:
    """n fields after `duration` in velocities and sources (Q per unit time) that do not change.

    Where Q takes energy away, it goes on to take the share of E that it takes now.
    """
    # to take more than e^20 away is to take all; a larger share would only cost sub-steps
    most = 20 / jnp.asarray(duration, energy.dtype)

    def one(field: tuple[Float[Array, "h w"], Float[Array, "h w 2"], Float[Array, "h w"]]) -> Advanced:
        e, u, q = field
        periodic = boundary_x == boundary_y == "periodic"
        faces = faces_of_velocity(u) if periodic else mean_faces(u, boundary_x, boundary_y)
        return advance(
            e,
            faces,
            duration=duration,
            diffusivity=diffusivity,
            source=jnp.maximum(q, 0),
            sink=jnp.clip(-q / jnp.where(e > 0, e, 1), 0, most),
            boundary_x=boundary_x,
            boundary_y=boundary_y,
            high_order=high_order,
        )

    # one after the other takes half the time on a CPU (13 → 6 ms per field of 64² cells), side by side less on others
    known = (energy, velocity, source)
    carried: Advanced = jax.lax.map(one, known) if jax.default_backend() == "cpu" else jax.vmap(one)(known)
    return carried
