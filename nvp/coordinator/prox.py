"""The proximal step of a pair coupling on the box, in closed form.

    argmin over x, y in [0, 1] of  w·φ(px + qy − m)² + ((x − x₀)² + (y − y₀)²)/(2τ)

By duality x = P(x₀ − τsp) and y = P(y₀ − τsq), where s = 2wφ(u) is the one root of h(s) = s − 2wφ(u(s)). u falls with
s, piecewise linearly, so h rises, and its root lies between two of the four steps at which an end of the coupling
reaches its bound. Projecting the unconstrained solution onto the box instead gives another, worse point.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from nvp.coordinator.problem import Pairs


def prox_pair(
    pairs: Pairs, x0: Float[Array, "k"], y0: Float[Array, "k"], tau: Float[Array, ""]
) -> tuple[Float[Array, "k"], Float[Array, "k"]]:
    """x and y for every coupling at once."""

    def ends(s: Float[Array, "k"]) -> tuple[Float[Array, "k"], Float[Array, "k"]]:
        return jnp.clip(x0 - tau * s * pairs.p, 0.0, 1.0), jnp.clip(y0 - tau * s * pairs.q, 0.0, 1.0)

    def u(s: Float[Array, "k"]) -> Float[Array, "k"]:
        x, y = ends(s)
        return pairs.p * x + pairs.q * y - pairs.m

    def h(s: Float[Array, "k"]) -> Float[Array, "k"]:
        return s - 2 * pairs.w * u(s)

    breaks = [
        _crossing(start, slope, bound, tau) for start, slope in ((x0, pairs.p), (y0, pairs.q)) for bound in (0.0, 1.0)
    ]
    # from the last break below the root, or, below all of them, from the first one
    lowest = jnp.minimum(jnp.minimum(breaks[0], breaks[1]), jnp.minimum(breaks[2], breaks[3]))
    base = lowest
    for each in breaks:
        base = jnp.where((h(each) <= 0) & (each > base), each, base)
    after = jnp.full_like(base, jnp.inf)
    for each in breaks:
        after = jnp.where((each > base) & (each < after), each, after)
    below_all = h(lowest) > 0
    middle = jnp.where(below_all, lowest - 1.0, jnp.where(jnp.isinf(after), base + 1.0, (base + after) / 2))
    free_x = _inside(x0 - tau * middle * pairs.p)
    free_y = _inside(y0 - tau * middle * pairs.q)
    rise = 1 + 2 * pairs.w * tau * (jnp.where(free_x, pairs.p, 0.0) ** 2 + jnp.where(free_y, pairs.q, 0.0) ** 2)
    root = base - h(base) / rise
    idle = ~pairs.two_sided & (u(jnp.zeros_like(x0)) <= 0)
    return ends(jnp.where(idle, 0.0, root))


def _crossing(
    start: Float[Array, "k"], slope: Float[Array, "k"], bound: float, tau: Float[Array, ""]
) -> Float[Array, "k"]:
    """The s at which start − τ·s·slope reaches a bound; 0, which is harmless, where it never moves."""
    moving = slope != 0
    return jnp.where(moving, (start - bound) / (tau * jnp.where(moving, slope, 1.0)), 0.0)


def _inside(value: Float[Array, "k"]) -> Array:
    return (value > 0) & (value < 1)
