"""Noise along the level set of F, among the coordinates that are free to move.

Projecting a draw onto the tangent, z⊥ = z − (⟨z, g⟩/‖g‖²)g, leaves F unchanged to first order only: ΔF ≈ ½z⊥ᵀHz⊥. A
coordinate pressed against its bound is left out of the draw, since clipping it afterwards would turn z⊥ out of the
tangent.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from nvp.coordinator.energy import diagonal
from nvp.coordinator.solvers.step import Point, Setting

LEVEL = 1e-8
"""‖g‖² below which every direction is tangent."""
SHORT = 1e-9
"""Draws shorter than this are not stretched to length."""
LOW_MARGIN = 0.1
FLAT = 1e-6
"""Added to every curvature that is divided by."""
GENTLE = 0.01
"""Where a Newton step would be shorter than this everywhere, F is flat."""


class Signals(NamedTuple):
    """Why to explore, each from 0 (no reason) to 1."""

    # the gradient turns: ½(1 − cos(g_t, g_{t−1}))
    rotation: Float[Array, ""]
    # F fell by much less than a step of that length along −g would give, ΔF ≪ ⟨g, η − η⁺⟩
    stall: Float[Array, ""]
    # the line search had to shorten its step, or the step left little margin below 2/L
    caution: Float[Array, ""]
    # hardly a slope, and coordinates that are curved unlike: (1 − mean|H_ii|/max|H_ii|) , the more the flatter
    anisotropy: Float[Array, ""]

    def score(self) -> Float[Array, ""]:
        """Their mean."""
        return jnp.stack(self).mean()


def free_coordinates(point: Point, mask: Float[Array, "n"]) -> Float[Array, "n"]:
    """1 where a coordinate is inside the box or the gradient pulls it inwards, else 0; 0 on padding."""
    pressed = ((point.eta <= 0) & (point.gradient > 0)) | ((point.eta >= 1) & (point.gradient < 0))
    return jnp.where(pressed, 0.0, mask)


def tangent_noise(
    key: PRNGKeyArray,
    point: Point,
    mask: Float[Array, "n"],
    length: Float[Array, ""],
    *,
    stretch: Float[Array, "n"] | None = None,
    metric: Float[Array, "n"] | None = None,
) -> Float[Array, "n"]:
    """A draw of that length, orthogonal to the gradient on the free coordinates; 0 where there is only one of them.

    `stretch` makes some coordinates move farther than others. Orthogonal in a diagonal `metric` M, zᵀMg = 0, is
    something else than staying on the level set: there F changes in first order.
    """
    free = free_coordinates(point, mask)
    g = free * point.gradient
    z = free * jax.random.normal(key, point.eta.shape, point.eta.dtype)
    z = z if stretch is None else stretch / jnp.sqrt(stretch @ stretch) * z
    dual = g if metric is None else metric * g
    square = g @ dual
    z = jnp.where(square < LEVEL, z, z - (z @ dual) / jnp.where(square < LEVEL, 1.0, square) * g)
    norm = jnp.sqrt(z @ z)
    return jnp.where(norm > SHORT, length * z / jnp.where(norm > SHORT, norm, 1.0), 0.0)


def drawn(key: PRNGKeyArray, setting: Setting, point: Point, length: Float[Array, ""]) -> Float[Array, "n"]:
    """A draw of the configured shape."""
    problem, shape = setting.problem, setting.config.noise_shape
    if shape == "plain":
        return tangent_noise(key, point, problem.mask, length)
    curvature = jnp.maximum(diagonal(problem, point.eta), 0.0) + FLAT
    if shape == "metric":
        return tangent_noise(key, point, problem.mask, length, metric=curvature)
    return tangent_noise(key, point, problem.mask, length, stretch=1 / curvature)


def signals(
    setting: Setting,
    before: Point,
    after: Point,
    *,
    step: Float[Array, ""],
    backtracks: Float[Array, ""],
) -> Signals:
    """The four signals of the step from `before` to `after`."""
    g, h = before.gradient, after.gradient
    norms = jnp.sqrt((g @ g) * (h @ h))
    cosine = (g @ h) / jnp.where(norms > 0, norms, 1.0)
    promised = g @ (before.eta - after.eta)
    gained = (before.energy - after.energy) / jnp.where(promised > 0, promised, 1.0)
    margin = 1 - step * setting.lipschitz / 2
    free = free_coordinates(after, setting.problem.mask)
    bends = free * jnp.abs(diagonal(setting.problem, after.eta))
    steepest = bends.max()
    unlike = 1 - bends.sum() / jnp.maximum(free.sum(), 1.0) / jnp.where(steepest > 0, steepest, 1.0)
    slope = jnp.abs(free * h).max()
    flat = 1 - jnp.minimum(1.0, slope / (GENTLE * jnp.where(steepest > 0, steepest, 1.0)))
    return Signals(
        rotation=jnp.where(norms > 0, (1 - cosine) / 2, 0.0),
        stall=jnp.where(promised > 0, jnp.clip(1 - 2 * gained, 0.0, 1.0), 1.0),
        caution=jnp.where((backtracks > 0) | (margin < LOW_MARGIN), 1.0, 0.0),
        anisotropy=jnp.where(steepest > 0, flat * unlike, 0.0),
    )
