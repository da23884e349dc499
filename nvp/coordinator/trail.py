"""What is recorded of a relaxation, step by step, in arrays that are as long as its budget of steps."""

from __future__ import annotations

from enum import IntFlag
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.solvers.step import Point, Proposal


class Event(IntFlag):
    """What is worth noting about a step."""

    # a term that pulled too hard was brought down
    BALANCED = 1
    # the homotopy went back, since its step was refused
    BACKED_OFF = 2
    # noise led out along a direction that the gradient would not have taken, and F fell
    ESCAPED = 4
    # the step was all but as long as 2/L, from where on it would not contract
    LOW_MARGIN = 8


class Trail(NamedTuple):
    """What happened at each step; entry 0 is the start, and entries beyond the last step repeat it or are 0."""

    # F under the full objective, and what the step gained under its own
    energy: Array
    gain: Array
    # share of the couplings in the objective of the step
    scale: Array
    gradient_norm: Array
    step: Array
    backtracks: Array
    noise: Array
    accepted: Array
    # every state, or nothing
    states: Array
    # which objective the step was judged by, counted from 0, and where an adapter sets them, its weights
    version: Array
    weights: Array
    # how far F would have risen by a step that was refused, else 0
    rise: Array
    # of `Event`
    events: Array


def begin(config: RelaxConfig, point: Point, weights: Float[Array, "t"], *, adapted: bool) -> Trail:
    """Room for every step, with the start in it."""
    length = config.steps + 1
    numbers = jnp.zeros(length, point.energy.dtype)
    states = jnp.zeros((length, len(point.eta)) if config.record_states else (0, 0), point.eta.dtype)
    given = jnp.zeros((length, len(weights)) if adapted else (0, 0), weights.dtype)
    return Trail(
        energy=numbers.at[0].set(point.energy),
        gain=numbers,
        scale=numbers.at[0].set(1),
        gradient_norm=numbers.at[0].set(jnp.sqrt(point.gradient @ point.gradient)),
        step=numbers,
        backtracks=jnp.zeros(length, jnp.int32),
        noise=numbers,
        accepted=jnp.zeros(length, jnp.bool_),
        states=states.at[0].set(point.eta) if config.record_states else states,
        version=jnp.zeros(length, jnp.int32),
        weights=given.at[0].set(weights) if adapted else given,
        rise=numbers,
        events=jnp.zeros(length, jnp.int32),
    )


def record(
    trail: Trail,
    step: Int[Array, ""],
    *,
    accepted: Bool[Array, ""],
    proposal: Proposal,
    before: Point,
    after: Point,
    energy: Float[Array, ""],
    scale: Float[Array, ""],
    noise: Float[Array, ""],
    version: Int[Array, ""],
    weights: Float[Array, "t"],
    rise: Float[Array, ""],
    events: Int[Array, ""],
) -> Trail:
    """The trail with one step more; `energy` is F of its end under the full objective."""
    return Trail(
        energy=trail.energy.at[step].set(energy),
        gain=trail.gain.at[step].set(before.energy - after.energy),
        scale=trail.scale.at[step].set(scale),
        gradient_norm=trail.gradient_norm.at[step].set(jnp.sqrt(after.gradient @ after.gradient)),
        step=trail.step.at[step].set(proposal.step),
        backtracks=trail.backtracks.at[step].set(proposal.backtracks),
        noise=trail.noise.at[step].set(noise),
        accepted=trail.accepted.at[step].set(accepted),
        states=trail.states.at[step].set(after.eta) if trail.states.size else trail.states,
        version=trail.version.at[step].set(version),
        weights=trail.weights.at[step].set(weights) if trail.weights.size else trail.weights,
        rise=trail.rise.at[step].set(rise),
        events=trail.events.at[step].set(events),
    )
