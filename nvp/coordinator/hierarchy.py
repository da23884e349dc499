"""A coupling graph from afar: its modules in blocks, each of which has a mass, and the energy of those masses.

    m_g = mean of η over block g,    E = Σ_g w_g·m_g² + λ·Var_g(m_g)

Blocks are communities of the couplings, found by greedy modularity (Clauset, Newman and Moore, Phys. Rev. E 70, 2004).
E is read beside F, never instead of it: a state of less E need not be one of less F.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
from jaxtyping import Array, Float, Int

from nvp.coordinator.coupling_graph import CouplingGraph


def blocks_of(graph: CouplingGraph) -> Int[np.ndarray, "n"]:
    """The number of the block that each module is in, the block of the first module being 0."""
    drawn = nx.Graph()
    drawn.add_nodes_from(range(len(graph.modules)))
    for coupling in graph.couplings:
        weight = graph.weights.get(coupling.term_id, 1.0) * coupling.params.get("weight", 1.0)
        before = drawn.get_edge_data(coupling.i, coupling.j, {"weight": 0.0})["weight"]
        if weight > 0:
            drawn.add_edge(coupling.i, coupling.j, weight=before + weight)
    # without couplings there is no modularity
    alone = [{number} for number in drawn]
    parts = nx.community.greedy_modularity_communities(drawn, weight="weight") if drawn.edges else alone
    found = np.zeros(len(graph.modules), np.int32)
    for number, part in enumerate(sorted(parts, key=min)):
        found[list(part)] = number
    return found


def masses(eta: Float[Array, "n"], blocks: Int[Array, "n"], count: int) -> Float[Array, "g"]:
    """The mean of η over each block."""
    sizes = jax.ops.segment_sum(jnp.ones_like(eta), blocks, count)
    return jax.ops.segment_sum(eta, blocks, count) / jnp.maximum(sizes, 1.0)


def coarse_energy(
    eta: Float[Array, "n"], blocks: Int[Array, "n"], weights: Float[Array, "g"], spread: Float[Array, ""]
) -> Float[Array, ""]:
    """E of the blocks' masses; `spread` is λ. May be differentiated and batched."""
    mass = masses(eta, blocks, len(weights))
    return (weights * mass**2).sum() + spread * jnp.var(mass)
