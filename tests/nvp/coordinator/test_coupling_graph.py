"""What a coupling graph refuses, by code."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nvp.coordinator.coupling_graph import Coupling, CouplingGraph, Module
from nvp.errors import FieldError

TWO = [Module("landau"), Module("gating")]


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("EMPTY_GRAPH", {"modules": []}),
        ("UNKNOWN_KIND", {"modules": [Module("landua")]}),
        ("UNKNOWN_KIND", {"modules": TWO, "couplings": [Coupling("quadratics", 0, 1)]}),
        ("BAD_INDEX", {"modules": TWO, "couplings": [Coupling("quadratic", 0, 2)]}),
        ("BAD_INDEX", {"modules": TWO, "couplings": [Coupling("quadratic", -1, 1)]}),
        ("BAD_INDEX", {"modules": TWO, "couplings": [Coupling("quadratic", 1, 1)]}),
        (
            "MISSING_DELTA",
            {"modules": TWO, "couplings": [Coupling("gate_benefit", 1, 0, delta="d")], "deltas": {"e": 1.0}},
        ),
        ("MISSING_DELTA", {"modules": TWO, "couplings": [Coupling("damped_gate_benefit", 1, 0)]}),
        ("NONFINITE", {"modules": TWO, "deltas": {"d": math.nan}}),
        ("NONFINITE", {"modules": [Module("landau", {"a": math.inf})]}),
        ("NONFINITE", {"modules": [Module("landau", {"a": "1"})]}),
        ("BAD_PARAMETER", {"modules": [Module("landau", {"b": 0.0})]}),
        ("BAD_PARAMETER", {"modules": [Module("gating", {"a": -0.1})]}),
        ("BAD_PARAMETER", {"modules": [Module("gating", {"alpha": 0.1})]}),
        ("BAD_PARAMETER", {"modules": [Module("hypothesis", {"target": 1.1})]}),
        ("BAD_PARAMETER", {"modules": TWO, "couplings": [Coupling("quadratic", 0, 1, {"weight": -1.0})]}),
        *(
            (
                "BAD_PARAMETER",
                {"modules": TWO, "couplings": [Coupling("damped_gate_benefit", 1, 0, {"power": power}, delta="d")]},
            )
            for power in (0.0, 0.5)
        ),
        ("BAD_PARAMETER", {"modules": TWO, "weights": {"local:landau": -1.0}}),
        ("BAD_PARAMETER", {"modules": TWO, "gamma": -1.0}),
        ("UNKNOWN_TERM", {"modules": TWO, "weights": {"coup:quadratic": 1.0}}),
    ],
)
def test_a_bad_graph_is_refused_with_its_code(code: str, given: dict[str, Any]) -> None:
    with pytest.raises(FieldError) as refused:
        CouplingGraph(**given)
    assert refused.value.code == code
    assert "expected" in str(refused.value)


def test_a_benefit_may_be_missing_only_where_that_is_said() -> None:
    gate = [Coupling("gate_benefit", 1, 0, delta="d")]
    assert CouplingGraph(modules=TWO, couplings=gate, allow_missing_delta=True).couplings == gate


def test_instances_of_one_kind_may_be_weighed_apart() -> None:
    graph = CouplingGraph(modules=[Module("landau"), Module("landau", term="second")], weights={"second": 2.0})
    assert graph.terms == ("local:landau", "second")
