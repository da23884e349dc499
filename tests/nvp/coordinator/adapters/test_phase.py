"""Phases of synthetic histories, and what the weights do in each."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.coordinator.adapters.phase import DESCENDING, OSCILLATING, RISING, STALLED, phase, phase_of
from tests.nvp.coordinator.adapters.seeing import KEY, problem, seen

PHASE = jax.jit(phase_of)
HISTORIES = {
    "descending": ([1.0, 0.7, 0.5, 0.4, 0.33, 0.3], DESCENDING),
    "through zero": ([0.5, 0.3, 0.1, -0.1, -0.3, -0.5], DESCENDING),
    "stalled": ([0.3, 0.3, 0.3, 0.3, 0.3, 0.3], STALLED),
    "all but stalled": ([0.3 + 1e-5, 0.3, 0.3, 0.3, 0.3, 0.3], STALLED),
    "oscillating": ([0.5, 0.2, 0.5, 0.2, 0.5, 0.2], OSCILLATING),
    "rising": ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], RISING),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_the_state_table(name: str) -> None:
    energies, state = HISTORIES[name]
    found = PHASE(jnp.array(energies), jnp.asarray(1.0))
    assert int(found.state) == state
    assert -1 <= float(found.rate) <= 1
    assert 0 <= float(found.epistemic) <= 1
    assert 0 <= float(found.aleatoric) <= 1
    if state != STALLED:
        drops = -np.diff(energies) / np.abs(np.diff(energies)).sum()
        assert float(found.trend) == pytest.approx(np.polyfit(np.arange(5), drops, 1)[0], abs=1e-6)
        assert float(found.variance) == pytest.approx(drops.var(), abs=1e-6)


@pytest.mark.parametrize("name", HISTORIES)
def test_where_zero_lies_does_not_matter(name: str) -> None:
    energies, state = HISTORIES[name]
    for shift in (-3.0, 0.0, 2.0):
        assert int(PHASE(jnp.array(energies) + shift, jnp.asarray(1.0)).state) == state


def test_closeness_of_energies_is_no_progress() -> None:
    """1 − |a − h|/(|a| + |h|) is 1 for a run that stands still, and 0 for one that descends through zero."""

    def naive(energies: list[float]) -> float:
        a, h = np.array(energies[1:]), np.array(energies[:-1])
        return float(np.clip(1 - np.abs(a - h) / (np.abs(a) + np.abs(h) + 1e-8), 0, 1).min())

    assert naive(HISTORIES["stalled"][0]) == 1
    assert naive(HISTORIES["through zero"][0]) < 1e-6
    assert float(phase_of(jnp.array(HISTORIES["stalled"][0]), jnp.asarray(1.0)).rate) == 0
    assert float(phase_of(jnp.array(HISTORIES["through zero"][0]), jnp.asarray(1.0)).rate) == pytest.approx(1)


def history(energies: list[float], weights: list[float]) -> np.ndarray:
    """Weights after a history; terms: gates, quadratic, gate benefit."""
    adapter = phase((False, True, True), (True, False, False))
    start = problem()
    given = jnp.array(weights)
    memory = adapter.init(start, seen([1.0] * 3, energy=energies[0]))._replace(configured=given)
    update = jax.jit(adapter.update)
    for energy in energies[1:]:
        given, memory = update(seen([1.0] * 3, energy=energy), memory, given, KEY)
    return np.asarray(given)


def test_couplings_move_from_their_configured_weights() -> None:
    """All of them: that a term was never adapted before is no reason to leave it out, or to begin at 1."""
    start = np.array([1.2, 0.4, 2.5])
    falling = history([1.0, 0.8, 0.6, 0.4], start.tolist()) / start
    assert falling[0] < 0.95
    assert (falling[1:] > 1.08).all()
    swinging = history([1.0, 0.5, 1.0, 0.5, 1.0, 0.5, 1.0, 0.5], start.tolist()) / start
    assert swinging[0] > 1
    assert (swinging[1:] < 1).all()
    np.testing.assert_allclose(history([0.3] * 8, start.tolist()), start, rtol=1e-6)
