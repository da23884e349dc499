"""Blocks of a coupling graph, and the energy of their masses."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.hierarchy import blocks_of, coarse_energy, masses

TWO_CLIQUES = CouplingGraph(
    modules=[Module("gating")] * 8,
    couplings=[
        *(Coupling("quadratic", i, j) for i in range(4) for j in range(i)),
        *(Coupling("quadratic", i, j) for i in range(4, 8) for j in range(4, i)),
        Coupling("directed_hinge", 0, 7, {"weight": 0.1}),
    ],
)


def test_what_is_coupled_is_a_block() -> None:
    assert blocks_of(TWO_CLIQUES).tolist() == [0] * 4 + [1] * 4
    assert blocks_of(CouplingGraph(modules=[Module("gating")] * 3)).tolist() == [0, 1, 2]
    # a term without weight couples nothing
    loose = CouplingGraph(
        modules=[Module("gating")] * 3, couplings=[Coupling("quadratic", 0, 2)], weights={"coup:quadratic": 0.0}
    )
    assert blocks_of(loose).tolist() == [0, 1, 2]


def test_the_energy_by_hand_and_its_gradient() -> None:
    with jax.enable_x64(True):
        eta = jnp.asarray([0.2, 0.4, 1.0])
        blocks, weights, spread = jnp.asarray([0, 0, 1]), jnp.asarray([2.0, 0.5]), jnp.asarray(3.0)
        assert masses(eta, blocks, 2).tolist() == pytest.approx([0.3, 1.0])
        value, slope = jax.value_and_grad(coarse_energy)(eta, blocks, weights, spread)
        assert float(value) == pytest.approx(2 * 0.09 + 0.5 + 3 * 0.35**2)
        small = 1e-6
        for place in range(3):
            ahead, behind = (
                float(coarse_energy(eta.at[place].add(by), blocks, weights, spread)) for by in (small, -small)
            )
            assert float(slope[place]) == pytest.approx((ahead - behind) / (2 * small), abs=1e-6)


def test_what_moves_within_a_block_is_not_seen_from_afar() -> None:
    """That is what makes it no substitute for F."""
    with jax.enable_x64(True):
        blocks, weights = jnp.asarray(blocks_of(TWO_CLIQUES)), jnp.asarray([1.0, 1.0])
        energies = [
            float(coarse_energy(jnp.asarray(eta), blocks, weights, jnp.asarray(0.5)))
            for eta in (np.full(8, 0.5), np.array([0.0, 1.0] * 4))
        ]
    assert energies[0] == pytest.approx(energies[1])
