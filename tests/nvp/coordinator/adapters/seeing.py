"""What an adapter might see, made by hand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from nvp.coordinator.adapters.adapter import Seen
from nvp.coordinator.problem import Problem, build
from nvp.coordinator.scenarios import baseline

KEY = jax.random.key(0)


def seen(norms: Any, energies: Any = None, energy: float = 0.0) -> Seen:
    """Norms and energies of terms as arrays."""
    norms = jnp.asarray(norms, jnp.float32)
    given = jnp.zeros_like(norms) if energies is None else jnp.asarray(energies, jnp.float32)
    return Seen(given, norms, jnp.asarray(energy, jnp.float32))


def problem() -> Problem:
    """The two gates, as arrays that JAX may trace."""
    return jax.tree.map(jnp.asarray, build(baseline()))
