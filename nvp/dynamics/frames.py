"""From steps to frames: develop a simulation, look at it every so many steps, and keep its accounts between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from nvp.dynamics.transport import Advanced

State = TypeVar("State")


class Frames(NamedTuple):
    """What was seen at each of t frames, and what Q added and what left over the step that leads to each."""

    seen: Any
    source: Float[Array, "*t"]
    outflow: Float[Array, "*t"]


def frames(
    step: Callable[[Int[Array, ""], State], tuple[State, Advanced]],
    look: Callable[[State], Any],
    state: State,
    *,
    warm: int,
    count: int,
    length: int,
) -> Frames:
    """What `look` sees after `warm` steps, and then every `count`: `length` times.

    `step` is told its number, and says what its transport did. All steps are in one loop, so that they are compiled
    once.
    """
    last = warm + count * jnp.arange(length)
    first = jnp.concatenate([jnp.zeros_like(last[:1]), last[:-1]])

    def accounted(index: Int[Array, ""], ledger: tuple[State, Array, Array]) -> tuple[State, Array, Array]:
        state, source, outflow = ledger
        state, done = step(index, state)
        return state, source + done.source, outflow + done.outflow

    def one(state: State, between: tuple[Int[Array, ""], Int[Array, ""]]) -> tuple[State, Frames]:
        nothing = jnp.zeros(())
        state, source, outflow = jax.lax.fori_loop(*between, accounted, (state, nothing, nothing))
        return state, Frames(look(state), source, outflow)

    found: Frames = jax.lax.scan(one, state, (first, last))[1]
    # what came and went before the first frame is in it
    return found._replace(source=found.source.at[0].set(0), outflow=found.outflow.at[0].set(0))
