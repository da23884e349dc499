"""Local energies, elementwise in η."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from nvp.coordinator.problem import Polynomials, Wells


def well(wells: Wells, eta: Float[Array, "n"]) -> Float[Array, "n"]:
    """a(η − t)² + b(η − t)⁴ − hη."""
    square = (eta - wells.target) ** 2
    return square * (wells.a + wells.b * square) - wells.h * eta


def polynomial(polynomials: Polynomials, eta: Float[Array, "n"]) -> Float[Array, "p"]:
    """w·Σ_k c_k η^k by Horner's rule."""
    at = eta[polynomials.i]
    value = jnp.zeros_like(at)
    for power in reversed(range(polynomials.coefficients.shape[-1])):
        value = value * at + polynomials.coefficients[:, power]
    return polynomials.w * value
