"""Two-dimensional incompressible flow on a periodic rectangle, by its vorticity ω.

    ∂ω/∂t + u·∇ω = ν∇²ω,   ∇²ψ = ω,   u = (−∂ψ/∂y, ∂ψ/∂x)

Time runs by an exponential Runge–Kutta scheme (`exponential.py`). What carries E is taken from the stream function at
the cells' corners: the velocities on the faces of a cell are differences of the same four numbers, so that they add up
to zero.

References: Canuto et al., Spectral Methods in Fluid Dynamics (1988); Cox & Matthews, J. Comput. Phys. 176, 430 (2002).
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from nvp.dynamics.exponential import integrator, resolved
from nvp.dynamics.spectral import spectral, wavenumbers
from nvp.dynamics.transport import Faces, mean_faces


@spectral
def stepper(
    *, shape: tuple[int, int], step: float, viscosity: float | Float[Array, ""]
) -> Callable[[Float[Array, "h w"]], Float[Array, "h w"]]:
    """What advances a vorticity by `step`; lengths in grid units."""
    h, w = shape
    ky, kx = wavenumbers(h, w)
    keep = resolved(h, w)

    def carried(vorticity: Complex[Array, "1 h w_half"]) -> Complex[Array, "1 h w_half"]:
        omega = jnp.where(keep, vorticity[0], 0)
        psi = inverse_laplacian(omega)
        u, v = jnp.fft.irfft2(-1j * ky * psi, s=shape), jnp.fft.irfft2(1j * kx * psi, s=shape)
        gradient_x, gradient_y = jnp.fft.irfft2(1j * kx * omega, s=shape), jnp.fft.irfft2(1j * ky * omega, s=shape)
        return jnp.where(keep, -jnp.fft.rfft2(u * gradient_x + v * gradient_y), 0)[None]

    flow = integrator(-viscosity * (kx**2 + ky**2)[None], carried, step=step, order=2)

    @spectral
    def advanced(vorticity: Float[Array, "h w"]) -> Float[Array, "h w"]:
        return jnp.fft.irfft2(flow(jnp.fft.rfft2(vorticity)[None])[0], s=shape)

    return advanced


def stream_function(vorticity: Float[Array, "h w"]) -> Complex[Array, "h w_half"]:
    """ψ of a vorticity, as Fourier coefficients; without mean and Nyquist frequencies."""
    return inverse_laplacian(jnp.fft.rfft2(vorticity))


@spectral
def inverse_laplacian(coefficients: Complex[Array, "h w_half"]) -> Complex[Array, "h w_half"]:
    """∇⁻² of a real field by its Fourier coefficients; without mean and Nyquist frequencies."""
    h, w = coefficients.shape[0], 2 * (coefficients.shape[1] - 1)
    ky, kx = wavenumbers(h, w)
    k2 = kx**2 + ky**2
    keep = (k2 > 0) & (jnp.abs(ky) < jnp.pi) & (kx < jnp.pi)
    return jnp.where(keep, -coefficients / jnp.where(keep, k2, 1), 0)


@spectral
def velocity(psi: Complex[Array, "h w_half"], shape: tuple[int, int]) -> Float[Array, "h w 2"]:
    """Velocity at the cells' centres, order x, y."""
    ky, kx = wavenumbers(*shape)
    return jnp.stack([jnp.fft.irfft2(-1j * ky * psi, s=shape), jnp.fft.irfft2(1j * kx * psi, s=shape)], axis=-1)


@spectral
def face_velocity(psi: Complex[Array, "h w_half"], shape: tuple[int, int]) -> Faces:
    """Velocity through the cells' faces, without divergence."""
    ky, kx = wavenumbers(*shape)
    # ψ at the corner between a cell, its left and its lower neighbour: half a cell back along both axes
    corner = jnp.fft.irfft2(psi * jnp.exp(-0.5j * (kx + ky)), s=shape)
    corner = jnp.pad(corner, ((0, 1), (0, 1)), mode="wrap")
    return Faces(x=corner[:-1, :] - corner[1:, :], y=corner[:, 1:] - corner[:, :-1])


@spectral
def faces_of_velocity(centres: Float[Array, "h w 2"]) -> Faces:
    """Velocity through the faces of a periodic field, from that at the centres; its curl adds no divergence."""
    h, w, _ = centres.shape
    ky, kx = wavenumbers(h, w)
    u, v = centres[..., 0], centres[..., 1]
    vorticity = jnp.fft.irfft2(1j * kx * jnp.fft.rfft2(v) - 1j * ky * jnp.fft.rfft2(u), s=(h, w))
    psi = stream_function(vorticity)
    rotational = face_velocity(psi, (h, w))
    # what is not rotation (mean, divergence) has no stream function: it comes from the cells on both sides
    rest = mean_faces(centres - velocity(psi, (h, w)), "periodic", "periodic")
    return Faces(x=rotational.x + rest.x, y=rotational.y + rest.y)
