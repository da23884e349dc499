"""What a step must pass beside not raising F, and what is noted about it.

Free energy A = U − T·S with the mixing entropy S = −Σ[η ln η + (1 − η) ln(1 − η)]: at T > 0 a step that lowers U only
by closing off what is still undecided is refused.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.solvers.step import Point, Proposal, Setting
from nvp.coordinator.trail import Event

INSIDE = 1e-9
"""η is kept so far from 0 and 1 under the logarithm."""
LITTLE = 1e-6
"""A margin below which a step is all but too long; noise and a gain above which an escape is one."""
FAR = 1e-3
"""How far an escape leads."""
ACROSS = 0.2
"""An escape leads along −g by no more than this cosine."""


def entropy(eta: Float[Array, "n"], mask: Float[Array, "n"]) -> Float[Array, ""]:
    """S in nats."""
    at = jnp.clip(eta, INSIDE, 1 - INSIDE)
    return -(mask * (at * jnp.log(at) + (1 - at) * jnp.log1p(-at))).sum()


def lowers_free_energy(setting: Setting, before: Point, after: Point) -> Bool[Array, ""]:
    """Whether U − T·S falls by more than `free_energy_gain`; everything passes at T = 0."""
    config, mask = setting.config, setting.problem.mask
    if not config.temperature:
        return jnp.asarray(True)
    gained = config.temperature * (entropy(after.eta, mask) - entropy(before.eta, mask))
    return after.energy - before.energy - gained < -config.free_energy_gain


def events_of(
    setting: Setting, before: Point, after: Point, proposal: Proposal, noise: Float[Array, ""], ok: Bool[Array, ""]
) -> Int[Array, ""]:
    """`ESCAPED` and `LOW_MARGIN` of an accepted step."""
    moved = after.eta - before.eta
    length = jnp.sqrt(moved @ moved)
    steepness = jnp.sqrt(before.gradient @ before.gradient)
    scale = length * steepness
    cosine = -(moved @ before.gradient) / jnp.where(scale > 0, scale, 1.0)
    drop = before.energy - after.energy
    escaped = (noise > LITTLE) & (length >= FAR) & (cosine <= ACROSS) & (drop >= LITTLE)
    found = jnp.where(ok & escaped, int(Event.ESCAPED), 0)
    if follows_gradient(setting.config):
        low = 2 / setting.lipschitz - proposal.step < LITTLE
        found = found + jnp.where(ok & low, int(Event.LOW_MARGIN), 0)
    return found.astype(jnp.int32)


def follows_gradient(config: RelaxConfig) -> bool:
    """Whether the length of a step is one along −g, so that 2/L is a bound on it."""
    plain = not (config.unit_gradient or config.precondition or config.max_gradient_norm)
    return config.mode == "gradient" and plain
