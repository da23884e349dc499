"""Without noise a wanderer stays in the minimum it is led into, with noise it leaves it, and none has a head start."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from nvp.coordinator.coupling_graph import CouplingGraph, Module
from nvp.coordinator.energy import weighed
from nvp.coordinator.experiments import escape
from nvp.coordinator.experiments.config import EscapeConfig
from nvp.coordinator.problem import build

# minima near ±0.7 of ξ = 2η − 1; from below the middle descent is led to the left and shallower one
TWO = [Module("polynomial", {"coefficients": (0.0, 0.02, -1.0, -0.25, 1.0), "basis": "monomial"})] * 2


def test_noise_leaves_a_shallow_minimum_and_descent_stays() -> None:
    with jax.enable_x64(True):
        raw = build(CouplingGraph(modules=TWO))
        problem = jax.jit(weighed)(raw, raw.weights)
        start, keys = jnp.asarray([0.45, 0.45, *[0.5] * 6]), jax.random.split(jax.random.key(0), 200)
        ends = {name: escape.noisy_descent(problem, start, keys, name, 0.6) for name in escape.ARMS[:3]}
        ends["MALA"] = escape.langevin(problem, start, keys, 0.1, 0.1)
        cold = escape.langevin(problem, start, keys, 1e-4, 1e-5)
    assert np.asarray(ends["no noise"])[:2].max() < 0.3
    for name in ("tangent", "isotropic", "MALA"):
        assert np.asarray(ends[name])[:2].max() > 0.8, name
    # at hardly any temperature it walks downhill like descent does
    assert np.asarray(cold)[:2].max() < 0.5


def test_without_noise_all_descents_are_one() -> None:
    found = escape.run(EscapeConfig(trials=3, steps=10, noise=0.0), lambda *_: None)
    assert found.passed
    isotropic, _, still = (each.estimate for each in found.effects)
    assert isotropic == still == 0
    assert found.verdict == "null"
