"""What an adapter is: an `(init, update)` pair that gives the terms of F new weights after each step of a relaxation.

Terms are the entries of arrays, in the order of `CouplingGraph.terms`. New weights make a new objective: the driver
counts its versions, judges every step by one version alone, and keeps no energy of a version, since energies of two
objectives say nothing about each other. What adapters are compared by is F with all weights 1 at the final η.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from nvp.coordinator.energy import term_energies
from nvp.coordinator.problem import Problem


class Seen(NamedTuple):
    """What an adapter is shown of the state after a step."""

    # F_t(η) and ‖∂F_t/∂η‖ of each term as if it weighed 1: how terms are weighed does not change what is seen of them
    energies: Float[Array, "t"]
    norms: Float[Array, "t"]
    # F under the weights that the graph is configured with, the same objective at every step
    energy: Float[Array, ""]


class Adapter(NamedTuple):
    """`init(problem, seen)` makes the memory, `update(seen, memory, weights, key)` the next weights and memory.

    `problem.weights` are the configured ones, and those of the first step: nothing starts over from 1.
    """

    init: Callable[[Problem, Seen], Any]
    update: Callable[[Seen, Any, Float[Array, "t"], PRNGKeyArray], tuple[Float[Array, "t"], Any]]


def look_at(problem: Problem, eta: Float[Array, "n"], energy: Float[Array, ""]) -> Seen:
    """What there is to see at η of a problem that has not been weighed."""
    plain = replace(problem, weights=jnp.ones_like(problem.weights))
    slopes = jax.jacrev(term_energies, argnums=1)(plain, eta)
    return Seen(term_energies(plain, eta), jnp.sqrt(jnp.sum(slopes**2, axis=-1)), energy)
