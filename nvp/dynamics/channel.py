"""Two-dimensional incompressible flow in a channel: periodic along x, bounded along y by two edges without friction.

    ∂ω/∂t + (u + V)·∇ω = ν∇²ω + (Ω(y) − ω)/τ + g,   ∇²ψ = ω,   u = (−∂ψ/∂y, ∂ψ/∂x)

ω and ψ vanish at both edges, where only V, a cross-stream velocity that is the same everywhere, passes. Mirrored with
the opposite sign beyond its upper edge the vorticity is periodic along 2h, so that the sines of the channel are modes
of the plane: what holds there (`vorticity.py`) holds here. The flow returns to the shear Ω within τ.

References: Canuto et al., Spectral Methods in Fluid Dynamics (1988); Michalke, J. Fluid Mech. 19, 543 (1964), who gives
the growth of disturbances on Ω = −sech²(y).
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from nvp.dynamics import vorticity as plane
from nvp.dynamics.exponential import integrator, resolved
from nvp.dynamics.spectral import spectral, wavenumbers
from nvp.dynamics.transport import Faces


@spectral
def stepper(
    *,
    shape: tuple[int, int],
    step: float,
    viscosity: float | Float[Array, ""],
    cross: float | Float[Array, ""] = 0.0,
    shear: Float[Array, "h"] | None = None,
    relaxation: float = jnp.inf,
) -> Callable[..., Float[Array, "h w"]]:
    """What advances a vorticity by `step`: Ω is `shear`, τ `relaxation`, V `cross`; g may be given at each step."""
    h, w = shape
    doubled = (2 * h, w)
    ky, kx = wavenumbers(*doubled)
    keep = resolved(*doubled)
    # beyond the edge everything runs the other way
    sweep = mirrored(jnp.full((h, 1), cross))
    rate = 1 / relaxation
    linear = -viscosity * (kx**2 + ky**2) - rate
    pull = 0 if shear is None else rate * jnp.fft.rfft2(mirrored(jnp.broadcast_to(shear[:, None], shape)))

    @spectral
    def advanced(vorticity: Float[Array, "h w"], torque: Float[Array, "h w"] | None = None) -> Float[Array, "h w"]:
        given = pull if torque is None else pull + jnp.fft.rfft2(mirrored(torque))

        def carried(coefficients: Complex[Array, "1 h2 w_half"]) -> Complex[Array, "1 h2 w_half"]:
            omega = jnp.where(keep, coefficients[0], 0)
            psi = plane.inverse_laplacian(omega)
            u, v, along, across = jnp.fft.irfft2(
                jnp.stack([-1j * ky * psi, 1j * kx * psi, 1j * kx * omega, 1j * ky * omega]), s=doubled
            )
            return jnp.where(keep, given - jnp.fft.rfft2(u * along + (v + sweep) * across), 0)[None]

        flow = integrator(linear[None], carried, step=step, order=4)
        return jnp.fft.irfft2(flow(jnp.fft.rfft2(mirrored(vorticity))[None])[0], s=doubled)[:h]

    return advanced


def mirrored(field: Float[Array, "h w"]) -> Float[Array, "h2 w"]:
    """The field, and beyond its upper edge its mirror image with the opposite sign."""
    return jnp.concatenate([field, -field[::-1]])


def velocity(vorticity: Float[Array, "h w"], cross: float | Float[Array, ""] = 0.0) -> Float[Array, "h w 2"]:
    """Velocity at the cells' centres, order x, y; `cross` is V."""
    h, w = vorticity.shape
    eddies = plane.velocity(plane.stream_function(mirrored(vorticity)), (2 * h, w))[:h]
    return eddies.at[..., 1].add(cross)


def face_velocity(vorticity: Float[Array, "h w"], cross: float | Float[Array, ""] = 0.0) -> Faces:
    """Velocity through the cells' faces, without divergence; V alone passes the edges."""
    h, w = vorticity.shape
    faces = plane.face_velocity(plane.stream_function(mirrored(vorticity)), (2 * h, w))
    return Faces(x=faces.x[:h], y=faces.y[: h + 1].at[0].set(0).at[h].set(0) + cross)
