"""What is told beside the steps, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.diagnosis import diagnose
from nvp.coordinator.reference import reference_rows
from nvp.coordinator.scenarios import baseline

ENERGIES = np.array([1.0, 0.8, 0.6, 0.4, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
STATES = np.tile([0.5, 0.25], (11, 1))
STEPS = np.array([0.0] + [0.05] * 10)


def test_columns_follow_from_states_and_graph() -> None:
    graph = baseline()
    norms = np.ones((len(ENERGIES), len(graph.terms)))
    config = RelaxConfig(temperature=0.1)
    found = diagnose(graph, config, energies=ENERGIES, states=STATES, steps=STEPS, norms=norms, weights=norms)
    assert all(len(column) == len(ENERGIES) for column in found.values())
    assert (found["agm:state"][0], found["agm:state"][4], found["agm:state"][-1]) == (
        "stalled",
        "descending",
        "stalled",
    )
    entropy = np.log(2) - 0.25 * np.log(0.25) - 0.75 * np.log(0.75)
    assert found["S"][3] == pytest.approx(entropy)
    assert found["F"][3] == pytest.approx(ENERGIES[3] - 0.1 * entropy)
    assert found["uncertainty:total"][4] == found["uncertainty:epistemic"][4] + found["uncertainty:aleatoric"][4]
    # nothing was stepped to get to the start
    assert found["margin:global"][0] is None
    assert found["margin:global"][1] == pytest.approx(40 - reference_rows(graph).max())
    assert found["margin:row_max"][1] == pytest.approx(40 - reference_rows(graph).min())
    assert set(graph.terms) == {name.removeprefix("cost:") for name in found if name.startswith("cost:")}
    assert found["info:alignment"] == pytest.approx([1] * len(ENERGIES))
    assert set(found["info:drift"]) == {0}
    assert found["info:redundancy"][1] == pytest.approx(0.2 / found["uncertainty:total"][1], rel=1e-6)
    # both gates are one block
    assert found["coarse:energy"][0] == pytest.approx(0.375**2)
    # there is no polynomial in it
    assert set(found["poly:correlation_max"]) == {None}
    assert set(found["poly:correlation_warning"]) == {False}
    # nobody kept scores
    assert not [name for name in found if name.startswith(("score:", "spent:"))]
