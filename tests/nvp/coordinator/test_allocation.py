"""What is read off a trail is what the adapter had in its memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from nvp.coordinator.account import account
from nvp.coordinator.adapters.adapter import Adapter
from nvp.coordinator.adapters.small_gain import small_gain, unit_rows
from nvp.coordinator.allocation import allocation, unit_costs
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.diagnosis import diagnose
from nvp.coordinator.energy import precision
from nvp.coordinator.problem import build
from nvp.coordinator.relax import relax
from nvp.coordinator.scenarios import baseline

GRAPH = replace(baseline(), weights={"coup:quadratic": 0.5, "coup:gate_benefit": 1.5})


def listening(heard: list[tuple[np.ndarray, float]]) -> Adapter:
    """The adapter, telling its scores and what it has spent after each step."""
    adapter = small_gain()

    def update(seen: Any, memory: Any, weights: Any, key: Any) -> Any:
        given, after = adapter.update(seen, memory, weights, key)
        jax.debug.callback(
            lambda s, x: heard.append((np.asarray(s), float(x))), after.scores, after.spent, ordered=True
        )
        return given, after

    return Adapter(adapter.init, update)


def test_scores_and_spending_are_those_of_the_adapter() -> None:
    config = RelaxConfig(mode="gradient", steps=12, record_states=True, adapter="small_gain", gradient_tolerance=1e-30)
    heard: list[tuple[np.ndarray, float]] = []
    found = relax(GRAPH, config, jax.random.key(0), adapter=listening(heard))
    jax.effects_barrier()
    steps = account(GRAPH, found, limit=1000).steps
    assert len(steps) == len(heard) + 1 > 5
    told = allocation(
        GRAPH, norms=np.array([each.term_norm for each in steps]), weights=np.array([each.weights for each in steps])
    )
    np.testing.assert_allclose(told.scores[1:], [scores for scores, _ in heard], rtol=1e-6)
    assert not told.scores[0].any()
    # what was spent after a step made the weights of the next
    np.testing.assert_allclose(told.spent[2:], [spent for _, spent in heard][:-1], rtol=1e-6, atol=1e-9)
    assert told.spent[2] > 0
    columns = diagnose(
        GRAPH,
        config,
        energies=np.array([each.energy for each in steps]),
        states=np.array([each.eta for each in steps]),
        steps=np.array([each.step for each in steps]),
        norms=np.array([each.term_norm for each in steps]),
        weights=np.array([each.weights for each in steps]),
    )
    assert columns["score:coup:quadratic"] == told.scores[:, GRAPH.terms.index("coup:quadratic")].tolist()
    assert columns["spent:global"] == told.spent.tolist()


def test_by_hand() -> None:
    """Costs per unit of weight: 2·0.25 + 12·0.35 of the well, 4·0.7 of the spring, nothing of what is linear."""
    graph = replace(baseline(), weights={"coup:quadratic": 0.5, "coup:gate_benefit": 0.0})
    assert graph.terms == ("local:gating", "coup:quadratic", "coup:gate_benefit")
    assert unit_costs(graph) == pytest.approx([4.7, 2.8, 0])
    weights = np.array([[1.0, 0.5, 0.0], [1.0, 0.5, 0.0], [1.1, 0.4, 0.0]])
    found = allocation(graph, norms=np.array([[9.0, 9.0, 0.0], [2.0, 1.0, 0.0], [1.0, 1.0, 0.0]]), weights=weights)
    first = 0.3 * np.array([2.0**2 / 4.7, 1.0**2 / 2.8, 0])
    assert found.scores[0] == pytest.approx([0, 0, 0])
    assert found.scores[1] == pytest.approx(first)
    # the spring pulls 1 at a weight of 0.5, so 0.8 at 0.4
    assert found.scores[2] == pytest.approx(0.7 * first + 0.3 * np.array([1.1**2 / 4.7, 0.8**2 / 2.8, 0]))
    # of a weight that was lowered nothing comes back
    assert found.spent == pytest.approx([0, 0, 0.1 * 4.7])


def test_a_unit_of_weight_costs_what_the_adapter_thinks_it_does() -> None:
    @precision
    def rows() -> np.ndarray:
        return np.asarray(jax.jit(unit_rows)(jax.tree.map(jax.numpy.asarray, build(GRAPH))))

    assert unit_costs(GRAPH) == pytest.approx(rows().max(axis=1))
