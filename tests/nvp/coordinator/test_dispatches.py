"""A relaxation in pieces is the one in one piece, and can be stopped between two."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from nvp.coordinator import dispatches
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.dispatches import relax_in_dispatches
from nvp.coordinator.relax import relax
from nvp.coordinator.scenarios import random_graph


def test_pieces_give_the_whole_bit_by_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_graph(8, "rugged", np.random.default_rng(1), per_module=3)
    settings = {"gradient_tolerance": 1e-14, "noise": 0.1, "stochastic": True, "adapter": "phase"}
    config = RelaxConfig(mode="gradient", steps=40, record_states=True, assert_monotonic=True, **settings)
    start, key = np.full(8, 0.25), jax.random.key(3)
    monkeypatch.setattr(dispatches, "STEPS", 7)
    told: list[int] = []
    pieces = relax_in_dispatches(graph, config, key, start, between=told.append)
    whole = relax(graph, config, key, eta0=start)
    assert told == [7, 14, 21, 28, 35]
    assert (int(pieces.steps), int(pieces.status)) == (int(whole.steps), int(whole.status))
    assert pieces.eta.tolist() == whole.eta.tolist()
    assert np.array_equal(pieces.trail.states, whole.trail.states)
    assert np.array_equal(pieces.trail.energy, whole.trail.energy)
    assert np.array_equal(pieces.trail.weights, whole.trail.weights)
    assert len(np.unique(whole.trail.version[1:])) > 20  # objectives, by an adapter with a memory

    class Stopped(Exception):
        pass

    def stop(done: int) -> None:
        raise Stopped(done)

    with pytest.raises(Stopped, match="7"):
        relax_in_dispatches(graph, config, key, start, between=stop)
