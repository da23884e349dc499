"""Coupling energies; kinks and powers are computed on safe inputs, so that derivatives are finite all over the box."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from nvp.coordinator.problem import Gates, Pairs, Redemptions


def gap(pairs: Pairs, eta: Float[Array, "n"]) -> Float[Array, "e"]:
    """u = pη_i + qη_j − m."""
    return pairs.p * eta[pairs.i] + pairs.q * eta[pairs.j] - pairs.m


def pair(pairs: Pairs, eta: Float[Array, "n"]) -> Float[Array, "e"]:
    """w·φ(u)²; the derivative at the kink u = 0 is 0 from both sides."""
    u = gap(pairs, eta)
    return pairs.w * jnp.where(pairs.two_sided | (u > 0), u, 0.0) ** 2


def force(gates: Gates, delta: Float[Array, "d"]) -> Float[Array, "g"]:
    """w·s(Δ)·Δ, what pulls a gate open."""
    benefit = delta[gates.delta]
    return gates.w * jnp.where(benefit > 0, gates.positive, gates.negative) * benefit


def gate(gates: Gates, delta: Float[Array, "d"], eta: Float[Array, "n"]) -> Float[Array, "g"]:
    """−w·s(Δ)·Δ·η."""
    return -force(gates, delta) * eta[gates.i]


def power(gates: Gates, delta: Float[Array, "d"], eta: Float[Array, "n"]) -> Float[Array, "g"]:
    """−w·s(Δ)·Δ·η^p, p > 1; 0 with derivative 0 at η ≤ 0, where the derivative of η^p would be NaN."""
    at = eta[gates.i]
    inside = at > 0
    return -force(gates, delta) * jnp.where(inside, jnp.where(inside, at, 1.0) ** gates.power, 0.0)


def redemption(redemptions: Redemptions, eta: Float[Array, "n"]) -> Float[Array, "r"]:
    """w·[(ŷ − f(η_j))² − m]₊ with the map f(η) = scale·η + offset."""
    miss = redemptions.target - redemptions.scale * eta[redemptions.j] - redemptions.offset
    excess = miss**2 - redemptions.margin
    return redemptions.w * jnp.where(excess > 0, excess, 0.0)
