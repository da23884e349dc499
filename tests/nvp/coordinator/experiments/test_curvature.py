"""The bound of the box holds everywhere, that of a state does not, and a wrong bound is told."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.coordinator.experiments import curvature
from nvp.coordinator.experiments.config import CurvatureConfig
from nvp.coordinator.experiments.curvature import Curved
from nvp.coordinator.experiments.finding import Finding

CONFIG = CurvatureConfig(trials=6, states=20)


@pytest.fixture(scope="module")
def found() -> Finding:
    return curvature.run(CONFIG, lambda *_: None)


def test_the_bound_of_the_box_holds_and_that_of_a_state_does_not(found: Finding) -> None:
    assert found.passed
    (check,) = found.checks
    assert check.name.endswith(f"{2 * 6 * 20} states")
    tight, slack, step, passed = found.arms["rugged"]
    assert 0.2 < tight.estimate < 1
    assert slack.estimate > 0
    assert step.estimate > 0
    assert passed.estimate > 0.5
    assert found.effects[0].n == 12


def test_an_idle_hinge_by_hand(found: Finding) -> None:
    """Wells of curvature 2; once it is active, the hinge adds 2w·[[1, −1], [−1, 1]]."""
    read, largest, bound = (each.estimate for each in found.arms["a stiff hinge, idle in the first state"])
    assert (read, largest, bound) == pytest.approx((2, 202, 202))


def test_a_bound_that_is_passed_is_a_missed_check() -> None:
    curved = np.array([[1.0, 3.0], [2.0, 2.0]])
    rows = curved + 0.5
    idle = Curved(np.array([[1.0]]), np.array([[1.0]]), np.array([1.0]))
    held = curvature.found_of(CONFIG, {"convex": Curved(curved, rows, np.array([4.0, 2.0]))}, idle)
    assert (held.passed, held.checks[0].value) == (True, 1)
    assert held.effects[0].estimate == pytest.approx((3 / 4 + 2 / 2) / 2)
    # of two graphs one passes what is read off its first state
    assert held.effects[1].estimate == 0.5
    assert not curvature.found_of(CONFIG, {"convex": Curved(curved, rows, np.array([2.9, 2.0]))}, idle).passed
