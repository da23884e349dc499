"""Coordinates first, then gradients; back to coordinates whenever gradients gain too little for too long."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from nvp.coordinator.solvers import coordinate, gradient
from nvp.coordinator.solvers.step import Point, Proposal, Setting, Solver


class Memory(NamedTuple):
    """The gradient's memory, the energy before, how long little was gained, and the switches so far."""

    of_gradient: gradient.Memory
    energy: Float[Array, ""]
    idle: Int[Array, ""]
    switches: Int[Array, ""]


def init(setting: Setting, point: Point) -> Memory:
    """As if nothing had been gained for long: the first step is one of coordinates."""
    patience = jnp.asarray(setting.config.switch_patience, jnp.int32)
    return Memory(gradient.init(setting, point), point.energy, patience - 1, jnp.zeros((), jnp.int32))


def propose(setting: Setting, point: Point, memory: Memory, rate: Float[Array, ""]) -> Proposal:
    """A step of whichever of the two is due."""
    config = setting.config
    small = memory.energy - point.energy < config.switch_gain
    idle = jnp.where(small, memory.idle + 1, 0)
    switch = idle >= config.switch_patience

    def by_coordinates() -> Proposal:
        return coordinate.propose(setting, point, (), rate)._replace(carry=memory.of_gradient)

    def by_gradient() -> Proposal:
        return gradient.propose(setting, point, memory.of_gradient, rate)

    proposal: Proposal = jax.lax.cond(switch, by_coordinates, by_gradient)
    carry = Memory(
        proposal.carry,
        point.energy,
        jnp.where(switch, 0, idle),
        jnp.where(switch, memory.switches + 1, memory.switches),
    )
    return proposal._replace(carry=carry)


def told(memory: Memory) -> dict[str, Any]:
    """How often it went to coordinates, the first step among them."""
    return {"switches": memory.switches}


SOLVER = Solver(init, propose, told=told)
