"""Room for curvature: local energies count, and a row has room of its own."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from nvp.coordinator import bounds
from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.coordinator.energy import weighed
from nvp.coordinator.margins import margins
from nvp.coordinator.problem import build
from nvp.coordinator.scenarios import random_graph
from nvp.errors import FieldError

GRAPH = CouplingGraph(
    modules=[Module("gating", {"a": 0.5, "b": 0.0}), Module("gating", {"a": 2.0, "b": 0.0}), Module("landau")],
    couplings=[
        Coupling("directed_hinge", 0, 1, {"weight": 1.0}),
        Coupling("quadratic", 1, 2, {"weight": 0.25}),
        Coupling("gate_benefit", 0, 1, delta="d"),
    ],
    deltas={"d": 0.3},
    weights={"coup:quadratic": 2.0},
)


def test_every_row_by_hand() -> None:
    """Rows: 2a + 4w of each hinge end; of the spring 4·½; of the last 12b."""
    found = margins(GRAPH, target=10.0)
    assert found.row_sums == pytest.approx((1 + 4, 4 + 4 + 2, 12 + 2))
    assert found.lipschitz == pytest.approx(14)
    assert found.row_targets == pytest.approx(tuple(row * 10 / 14 for row in (5, 10, 14)))
    assert found.row_margins == pytest.approx((5, 0, 0))
    assert found.global_margin == 0
    assert found.edge_costs == pytest.approx((4, 2, 0))
    assert found.family_costs == pytest.approx(
        {"local:gating": 4, "local:landau": 12, "coup:directed_hinge": 4, "coup:quadratic": 2, "coup:gate_benefit": 0}
    )
    # measured against what each row itself is scaled to, no row ever has room
    naive = np.maximum(0, np.array(found.row_targets) - np.array(found.row_sums))
    assert not naive.any()
    assert margins(GRAPH, target=20.0).global_margin == pytest.approx(6)
    assert margins(GRAPH, target=20.0).row_targets == pytest.approx(found.row_sums)


def test_it_is_the_bound_that_the_guard_uses() -> None:
    graph = random_graph(8, "rugged", np.random.default_rng(0))
    with jax.enable_x64(True):
        problem = build(graph)
        rows = np.asarray(jax.jit(lambda p: bounds.rows(weighed(p, p.weights)))(problem))
    found = margins(graph, target=5.0)
    assert found.row_sums == pytest.approx(tuple(rows[:8]), rel=1e-12)
    # a coupling or a family costs no more than the row that it is part of
    assert max(found.edge_costs) <= max(found.family_costs.values()) <= found.lipschitz


def test_a_row_without_bound_leaves_no_room() -> None:
    graph = CouplingGraph(
        modules=[Module("landau")] * 2, couplings=[Coupling("redemption", 0, 1, {"margin": 0.1})], weights={}
    )
    found = margins(graph, target=50.0)
    assert found.lipschitz == np.inf
    assert found.row_margins == (38, 0)
    assert found.row_targets[1] == 50
    with pytest.raises(FieldError):
        margins(graph, target=0.0)
