"""A prediction's laws as order parameters."""

from __future__ import annotations

import jax
import pytest

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.description import graph_of, keys_of
from nvp.coordinator.reference import reference_energy
from nvp.coordinator.relax import relax
from nvp.coordinator.residuals import Residual, residual_graph
from nvp.errors import FieldError

COURSE = [
    Residual(lead=1, conservation=0.0, entropy=0.0),
    Residual(lead=2, conservation=0.004, entropy=0.001),
    # by itself better than the state before, and nothing to check the entropy by
    Residual(lead=3, conservation=0.001, entropy=None),
]


def test_full_trust_costs_the_squared_residuals() -> None:
    graph = graph_of(residual_graph(COURSE, tolerance=0.01))
    expected = 0.1 * (0.4**2 + 0.1**2) + 0.05 * 0.1**2
    assert reference_energy(graph, [1.0] * 5)[0] == pytest.approx(expected)


def test_trust_does_not_grow_with_the_lead() -> None:
    loose = residual_graph(COURSE, tolerance=0.01, fit=0.0)
    tight = residual_graph(COURSE, tolerance=0.01, fit=10.0)
    apart, together = (
        dict(zip(keys_of(each), relax(graph_of(each), RelaxConfig(), jax.random.key(0)).eta.tolist(), strict=True))
        for each in (loose, tight)
    )
    assert apart == pytest.approx(
        {"conservation@1": 1.0, "conservation@2": 0.6, "conservation@3": 0.9, "entropy@1": 1.0, "entropy@2": 0.9}
    )
    assert together["conservation@3"] - together["conservation@2"] < 0.01
    assert together["entropy@2"] < 0.9
    assert together["conservation@2"] > 0.6


def test_where_no_law_can_be_checked() -> None:
    with pytest.raises(FieldError) as caught:
        residual_graph([Residual(lead=1, conservation=None, entropy=None)], tolerance=0.01)
    assert caught.value.code == "NO_RESIDUALS"
