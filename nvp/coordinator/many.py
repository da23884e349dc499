"""Many graphs, each from its own start, relaxed as one array program."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nvp.coordinator.batch import split, stack
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.coupling_graph import CouplingGraph
from nvp.coordinator.descent import descend
from nvp.coordinator.energy import precision
from nvp.coordinator.problem import bucket
from nvp.coordinator.relax import Relaxation, cut, layout, padded_start, prepare, require_monotonic
from nvp.errors import FieldError


@precision
def relax_many(
    graphs: Sequence[CouplingGraph], config: RelaxConfig, key: Array, starts: Sequence[Any]
) -> list[Relaxation]:
    """One relaxation for each graph and its start (n,), in their order; sizes may differ."""
    if config.adapter != "none":  # it would adapt the terms that graphs of other sizes are filled up with
        raise FieldError(
            "BAD_CONFIG",
            f"expected no adapter for many graphs at once, got {config.adapter}.",
            next_step="Relax them one by one.",
        )
    problems = [prepare(graph, config) for graph in graphs]
    # as many as a power of two: few shapes are compiled
    fill = bucket(len(graphs)) - len(graphs)
    together = stack(problems + problems[:1] * fill)
    members = split(together, len(problems) + fill)
    tables = stack([layout(problem, config) for problem in members], empty=together.pairs.i.shape[-1])
    padded = [padded_start(graph, start, together.size) for graph, start in zip(graphs, starts, strict=True)]
    etas = jnp.asarray(np.stack(padded + padded[:1] * fill))
    keys = jax.random.split(key, len(etas))
    found = jax.device_get(_descend_many(together, tables, etas, jnp.asarray(together.weights), keys, config=config))
    ends = zip(split(found, len(graphs)), graphs, strict=True)
    relaxations = [cut(each, len(graph.modules), config) for each, graph in ends]
    for relaxation in relaxations if config.assert_monotonic else ():
        require_monotonic(relaxation, config)
    return relaxations


@partial(jax.jit, static_argnames=("config",))
def _descend_many(problems, tables, etas, weights, keys, *, config):  # type: ignore[no-untyped-def]
    return jax.vmap(partial(descend, config=config))(problems, tables, etas, weights, keys)
