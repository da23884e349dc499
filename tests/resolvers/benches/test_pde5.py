"""The suite of the five domains in small: it trains, scores and keeps what others measure on, and its criteria bite."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nvp.prediction.baselines import KnownPhysics
from nvp.prediction.forecaster import windows
from resolvers.benches import pde5
from resolvers.benches.simulated import history_only, simulated
from resolvers.benches.suites import SuiteConfig
from tests.nvp.fields import fluid_series

GOOD: dict[str, Any] = {
    "fidelity": {"pooled": 0.93},
    "baselines": {
        "linear_extrapolation": {"pooled": 0.2},
        "ridge": {"pooled": 0.4},
        "known_physics": {"upwind": {"pooled": 0.7}, "frozen": {"pooled": 0.8}},
    },
    "known_physics_void": False,
    "persistence_vrmse": 0.3,
    "linear_fidelity": 0.2,
    "gradient_cosine": 0.97,
    "change_gradient_cosine": 0.95,
    "second_law": {"model": 0.005, "data": 0.0},
    "first_law_closure": 1e-7,
    "total_error": {"model": 1e-3, "persistence": 1e-2},
}


@pytest.mark.slow
def test_one_domain_from_simulation_to_figures(tmp_path: Path) -> None:
    config = SuiteConfig(domains=("active_matter",), scale=16, quick=True, keep=tmp_path)
    found = pde5.run(config, lambda *_: None)
    (figures,) = found["domains"].values()
    assert figures["data"]["given"] == {"frames": 2, "context": ["source", "velocity"]}
    assert figures["n"] == figures["fidelity"]["n"] > 20
    assert figures["first_law_closure"] < 1e-5
    assert {one["lead"] for one in figures["rollout"]["recorded"]} == set(range(1, 13))
    assert figures["second_law"] is None
    assert figures["total_error"]["model"] < figures["total_error"]["persistence"]
    assert figures["train"]["steps"] > 0
    assert figures["history_only"]["fidelity"]["pooled"] != figures["fidelity"]["pooled"]
    assert list(tmp_path.glob("active_matter/0/told/best-*"))
    # simulated once: the same arrays come out of the folder, sums and parameters with them
    recipe = pde5.recipe_of("active_matter", config, 0)
    again = simulated(recipe, tmp_path / "data", lambda *_: pytest.fail("simulated twice"))
    assert len({one.parameters["diffusivity"] for part in (again.train, again.test) for one in part}) == 6
    residual = again.test[0].energy.astype(np.float64).sum(axis=(1, 2, 3))
    assert again.test[0].source_total is not None
    np.testing.assert_allclose(np.diff(residual), again.test[0].source_total[1:], rtol=1e-2)
    assert not again.map(history_only).test[0].context


def test_the_solver_that_is_told_two_frames_takes_the_velocity_of_mid_step() -> None:
    series = fluid_series(scale=16, frames=4)
    velocity = np.zeros((4, 16, 16, 2), np.float32)
    velocity[..., 0] = np.arange(4)[:, None, None] + 0.5
    series = replace(series, context={"velocity": velocity}, parameters={"diffusivity": 0.0})
    found = pde5.Extrapolated().forecast(windows(series, history=2, starts=[1], steps=1), 1)
    # 1.5 at t, gaining 1 per step: as if it blew with 2 throughout
    steady = replace(series, context={"velocity": np.float32([2, 0]) * np.ones((4, 16, 16, 2), np.float32)})
    told = windows(steady, history=1, starts=[1], steps=1)
    np.testing.assert_array_equal(found.mean, KnownPhysics(high_order=True).forecast(told, 1).mean)


@pytest.mark.parametrize(
    ("criterion", "change"),
    [
        ("fidelity", {"fidelity": {"pooled": 0.89}}),
        ("above_rivals", {"fidelity": {"pooled": 0.69}}),
        ("above_rivals", {"known_physics_void": True}),
        ("gradients", {"change_gradient_cosine": 0.8}),
        ("second_law", {"second_law": {"model": 0.02, "data": 0.0}}),
        ("first_law", {"first_law_closure": 2e-5}),
        ("totals", {"total_error": {"model": 2e-2, "persistence": 1e-2}}),
        ("data_move", {"persistence_vrmse": 0.19}),
        ("data_move", {"linear_fidelity": 0.51}),
    ],
)
def test_each_criterion_can_be_missed(criterion: str, change: dict[str, Any]) -> None:
    assert all(pde5.criteria(GOOD).values())
    assert not pde5.criteria(copy.deepcopy(GOOD) | change)[criterion]
    both = {"seeds": {0: GOOD, 1: GOOD | change}}
    assert not pde5.criteria(both)[criterion]
