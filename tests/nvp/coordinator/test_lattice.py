"""Thresholds of a lattice are exact, and no edge is added twice."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from nvp.coordinator.lattice import coherence, critical, lattice, local_bonds, long_shortcuts, nothing

ARMS = {"nothing": nothing, "long": long_shortcuts(0.2), "local": local_bonds(0.2)}


@pytest.mark.parametrize("name", ARMS)
def test_the_threshold_is_where_the_component_first_is_large_enough(name: str) -> None:
    one = lattice(6, np.random.default_rng(3))
    extra = ARMS[name]
    p = critical(one, 0.5, extra)
    kept = int(np.flatnonzero(one.draws == p)[0]) + 1
    before, at = (coherence(one, count, extra) for count in (kept - 1, kept))
    assert before < 0.5 <= at
    graph = nx.Graph(np.concatenate([one.bonds[:kept], extra(one, kept)]).tolist())
    assert at == max(map(len, nx.connected_components(graph))) / 36


def test_a_lattice_that_cannot_reach_the_threshold() -> None:
    one = lattice(3, np.random.default_rng(0))
    assert critical(one, 1.01, nothing) == 1
    assert critical(one, 1 / 9, nothing) == 0  # a node alone is that much


def test_added_edges_are_new_and_as_many() -> None:
    one = lattice(5, np.random.default_rng(1))
    assert len(one.bonds) == 40
    assert (np.diff(one.draws) >= 0).all()
    pairs = {tuple(pair) for pair in one.shortcuts.tolist()}
    assert len(pairs) == len(one.shortcuts)
    assert all(i != j for i, j in pairs)
    assert not pairs & {tuple(pair) for pair in one.bonds.tolist()}
    for kept in (10, 21, 39, 40):
        long, local = long_shortcuts(0.1)(one, kept), local_bonds(0.1)(one, kept)
        assert len(long) == int(0.1 * kept)
        # where the lattice is full, no local bond is left
        assert len(local) == min(len(long), 40 - kept)
        assert not {tuple(pair) for pair in local.tolist()} & {tuple(pair) for pair in one.bonds[:kept].tolist()}
