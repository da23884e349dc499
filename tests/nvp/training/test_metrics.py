"""The metrics of an epoch in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvp.dynamics.domain import domain
from nvp.training.metrics import metrics_of

SPEC = domain("fluid_dynamics")


def fields() -> tuple[np.ndarray, np.ndarray]:
    """A truth and where it came from."""
    rng = np.random.default_rng(0)
    origin, truth = (np.exp(0.3 * rng.standard_normal((3, 8, 8, 1))).astype(np.float32) for _ in range(2))
    return truth, origin


def test_the_truth_itself_is_perfect() -> None:
    truth, origin = fields()
    found = metrics_of(truth, truth, origin, SPEC, seconds=1.5)
    assert (found.mse, found.conservation, found.rmse) == (0, 0, 0)
    assert found.fidelity == 1
    assert found.entropy_coherence == found.seconds - 0.5
    assert found.gradient_alignment == pytest.approx(1)
    assert found.change_gradient_alignment == pytest.approx(1)


def test_persistence_has_fidelity_0_and_no_alignment_of_its_change() -> None:
    truth, origin = fields()
    found = metrics_of(origin, truth, origin, SPEC)
    assert found.fidelity == 0
    assert found.entropy == 0
    assert np.isnan(found.change_gradient_alignment)
    assert found.entropy_coherence > 0.9


def test_the_total_is_the_three_terms_and_knows_where_the_law_is_one() -> None:
    truth, origin = fields()
    heap = truth**3
    found = metrics_of(heap, truth, origin, SPEC)
    assert found.entropy > 0
    assert found.total == pytest.approx(found.mse + 0.1 * found.conservation + 0.05 * found.entropy)
    lawless = metrics_of(heap, truth, origin, replace(SPEC, name="other", second_law=False))
    assert lawless.total == pytest.approx(found.mse + 0.1 * found.conservation)
    assert found.conservation == pytest.approx(
        np.mean(np.abs(heap.sum((1, 2, 3)) - truth.sum((1, 2, 3))) / truth.sum((1, 2, 3))), rel=1e-5
    )
    assert found.rmse == pytest.approx(np.sqrt(np.mean((heap - truth) ** 2)), rel=1e-5)
