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
        {"noise_shape": "round"},
        {"coupling_cap": 0.0},
        {"max_term_norm_ratio": 0.5},
        {"temperature": -1.0},
        {"stall_patience": 0},
        {"homotopy_terms": (("coup:quadratic", 0.5),)},
        {"homotopy_steps": 3, "homotopy_terms": (("coup:quadratic", 1.5),)},
        {"term_weight_floor": 1.0, "term_weight_ceiling": 0.5},
        # what compiled code cannot count, and what would never end
        {"steps": 2**31},
        {"steps": 10**400},
        {"homotopy_steps": 2**40},
        {"coordinate_steps": 2**30},
        {"max_backtrack": 2**30},
        {"cg_steps": 2**30},
    ],
)
def test_a_setting_out_of_range_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(FieldError, match="expected"):
        RelaxConfig(**given)
