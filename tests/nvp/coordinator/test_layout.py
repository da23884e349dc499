"""Couplings of one colour share no module; every module knows its couplings."""

from __future__ import annotations

import numpy as np

from nvp.coordinator.layout import edge_colours, incidence
from nvp.coordinator.problem import build
from nvp.coordinator.scenarios import random_graph


def test_tables_hold_each_coupling_where_it_belongs() -> None:
    problem = build(random_graph(20, "convex", np.random.default_rng(0)))
    pairs = problem.pairs
    real = set(np.flatnonzero(np.asarray(pairs.i != pairs.j)).tolist())
    empty = len(pairs.i)
    for module, edges in enumerate(incidence(problem).tolist()):
        assert set(edges) - {empty} == {edge for edge in real if module in (pairs.i[edge], pairs.j[edge])}
    coloured = []
    for edges in edge_colours(problem).tolist():
        of_class = [edge for edge in edges if edge != empty]
        ends = [int(end) for edge in of_class for end in (pairs.i[edge], pairs.j[edge])]
        assert len(ends) == len(set(ends))
        coloured += of_class
    assert sorted(coloured) == sorted(real)
