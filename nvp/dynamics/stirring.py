"""Stirring: a random acceleration of large eddies that forgets itself within a while, partly compressing.

Each Fourier coefficient is an Ornstein–Uhlenbeck process, df = −f dt/T + g(k) P(k) dW, advanced exactly, with

    P = ζ (1 − k k/k²) + (1 − ζ) k k/k²,    g² ∝ 1 − 4 (|k|/k_f − 1)²  where that is above 0.

ζ = 1 stirs without divergence, ζ = 0 only compresses, ζ = 1/2 is what a random vector does.

References: Eswaran & Pope, Comput. Fluids 16, 257 (1988); Federrath et al., A&A 512, A81 (2010), equations 4–8.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from nvp.dynamics.spectral import directions, spectral, wavenumbers

Acceleration = Float[Array, "2 h w"]


@spectral
def stirring(
    *, shape: tuple[int, int], step: float, wavelength: float, memory: float, solenoidal: float
) -> tuple[Callable[[PRNGKeyArray], Acceleration], Callable[[Acceleration, PRNGKeyArray], Acceleration]]:
    """How a stirring starts, and how it goes on over `step`; both keep a mean square of 1 (channels x, y together)."""
    ky, kx = wavenumbers(*shape)
    unit = directions(*shape)
    weight = jnp.sqrt(jnp.maximum(1 - 4 * (jnp.hypot(kx, ky) * wavelength / (2 * jnp.pi) - 1) ** 2, 0))
    # the columns between 0 and Nyquist stand for their mirror images too
    columns = jnp.arange(shape[1] // 2 + 1)
    twice = jnp.where((columns == 0) | (2 * columns == shape[1]), 1, 2)
    power = (twice * weight**2).sum() / (shape[0] * shape[1])
    weight = weight / jnp.sqrt(power * (solenoidal**2 + (1 - solenoidal) ** 2))
    forget = jnp.exp(-step / memory)

    @spectral
    def fresh(key: PRNGKeyArray) -> Acceleration:
        noise = weight * jnp.fft.rfft2(jax.random.normal(key, (2, *shape)))
        along = unit * (unit * noise).sum(axis=0)
        return jnp.fft.irfft2(solenoidal * noise + (1 - 2 * solenoidal) * along, s=shape)

    @spectral
    def onward(force: Acceleration, key: PRNGKeyArray) -> Acceleration:
        return forget * force + jnp.sqrt(1 - forget**2) * fresh(key)

    return fresh, onward


@spectral
def curl(force: Acceleration) -> Float[Array, "h w"]:
    """∂f_y/∂x − ∂f_x/∂y: what a periodic acceleration adds to the vorticity per unit time."""
    shape = (force.shape[1], force.shape[2])
    ky, kx = wavenumbers(*shape)
    along, across = jnp.fft.rfft2(force)
    return jnp.fft.irfft2(1j * kx * across - 1j * ky * along, s=shape)
