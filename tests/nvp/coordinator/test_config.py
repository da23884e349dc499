"""Settings out of range."""

from __future__ import annotations

from typing import Any

import pytest

from nvp.coordinator.config import RelaxConfig
from nvp.errors import FieldError


@pytest.mark.parametrize(
    "given",
    [
        {"mode": "annealing"},
        {"steps": 0},
        {"step_size": 0.0},
        {"armijo_c": 1.0},
        {"backtrack_factor": 1.0},
        {"max_backtrack": -1},
        {"switch_patience": 0},
        {"homotopy_start": 1.5},
        {"noise": float("nan")},
    ],
)
def test_a_setting_out_of_range_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(FieldError, match="expected"):
        RelaxConfig(**given)
