"""A relaxation in pieces, so that it can be watched and stopped while it goes on.

Each dispatch continues from the state that the one before left, solver's memory and random key included. The pieces
are of one length, so that the same programs run again in a replay, and give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nvp.coordinator.adapters.registry import adapter_of
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.energy import precision
from nvp.coordinator.relax import (
    Relaxation,
    Status,
    cut,
    descend,
    layout,
    padded_start,
    prepare,
    require_monotonic,
)

STEPS = 50
"""Steps of one dispatch."""


@precision
def relax_in_dispatches(
    graph: CouplingGraph, config: RelaxConfig, key: Array, eta0: Any, *, between: Callable[[int], None]
) -> Relaxation:
    """What `relax` does from one start (n,); `between` is told after each dispatch how many steps are done.

    What it raises ends the relaxation.
    """
    problem = prepare(graph, config)
    tables, start = layout(problem, config), jnp.asarray(padded_start(graph, eta0, problem.size))
    weights: Any = np.asarray(problem.weights, np.float64)
    adapter = adapter_of(config.adapter, graph)
    going_on = partial(_piece, problem, tables, start, jnp.asarray(weights), key, config=config, adapter=adapter)
    found = going_on(None, jnp.asarray(STEPS, jnp.int32))
    while int(found[0].status) == Status.RUNNING:
        done = int(found[0].step)
        between(done)
        found = going_on(found[0], jnp.asarray(done + STEPS, jnp.int32))
    relaxation = cut(found, len(graph.modules), config)
    if config.assert_monotonic:
        require_monotonic(relaxation, config)
    return relaxation


@partial(jax.jit, static_argnames=("config", "adapter"))
def _piece(problem, layout, eta0, weights, key, state, until, *, config, adapter):  # type: ignore[no-untyped-def]
    return descend(problem, layout, eta0, weights, key, config=config, adapter=adapter, state=state, until=until)
