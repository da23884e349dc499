"""Gaussian random fields: what simulations start from."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from nvp.dynamics.spectral import spectral, wavenumbers


@spectral
def gaussian_field(key: PRNGKeyArray, shape: tuple[int, int], wavelength: float) -> Float[Array, "h w"]:
    """A periodic Gaussian field of mean 0 and variance 1 whose variance lies around `wavelength` (cells).

    The amplitude of wavenumber k is q² exp(−q²) with q = k · wavelength / 2π, which is largest at q = 1.
    """
    ky, kx = wavenumbers(*shape)
    q2 = (kx**2 + ky**2) * (wavelength / (2 * jnp.pi)) ** 2
    field = jnp.fft.irfft2(jnp.fft.rfft2(jax.random.normal(key, shape)) * q2 * jnp.exp(-q2), s=shape)
    return field / jnp.sqrt(jnp.mean(field**2))
