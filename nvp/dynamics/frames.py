"""From steps to frames: run a simulation until it is developed, then look at it every so many steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

State = TypeVar("State")
Seen = TypeVar("Seen")


def frames(
    step: Callable[[Int[Array, ""], State], State],
    look: Callable[[State], tuple[State, Seen]],
    state: State,
    *,
    warm: int,
    count: int,
    length: int,
) -> Seen:
    """What `look` sees (and the state that it leaves) after `warm` steps, and then every `count`: `length` times.

    `step` is told its number. All steps are in one loop, so that they are compiled once.
    """
    last = warm + count * jnp.arange(length)
    first = jnp.concatenate([jnp.zeros_like(last[:1]), last[:-1]])

    def one(state: State, between: tuple[Int[Array, ""], Int[Array, ""]]) -> tuple[State, Seen]:
        return look(jax.lax.fori_loop(*between, step, state))

    seen: Seen = jax.lax.scan(one, state, (first, last))[1]
    return seen
