"""Attention with an energy: the formula, and that the energy evens the maps out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from nvp.coordinator.attention import EnergyAttention
from nvp.errors import FieldError

X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 5, 4)), jnp.float32)


def test_it_is_the_formula() -> None:
    layer = EnergyAttention(4, strength=0.3, rngs=nnx.Rngs(0))
    y, energy = layer(X)
    x = np.asarray(X, np.float64)
    q, k, v = (x @ np.asarray(part.kernel[...], np.float64) for part in (layer.query, layer.key, layer.value))
    scores = np.exp(q @ k.transpose(0, 2, 1) / np.sqrt(4))
    weights = scores / scores.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(layer.weights(X), weights, atol=1e-5)
    np.testing.assert_allclose(y, weights @ v, atol=1e-4)
    assert float(energy) == pytest.approx(0.3 * np.mean([np.var(each) for each in weights]), rel=1e-4)
    assert layer.query.bias is None


def test_its_energy_evens_the_maps_out() -> None:
    graph, parameters = nnx.split(EnergyAttention(4, strength=1.0, rngs=nnx.Rngs(1)))

    @jax.jit
    def energy(parameters: nnx.State) -> jax.Array:
        return nnx.merge(graph, parameters)(X)[1]

    slope = jax.jit(jax.grad(energy))
    optimizer = optax.sgd(20.0)
    before, memory = float(energy(parameters)), optimizer.init(parameters)
    for _ in range(20):
        change, memory = optimizer.update(slope(parameters), memory)
        parameters = optax.apply_updates(parameters, change)
    assert float(energy(parameters)) < 0.5 * before
    assert float(EnergyAttention(4, strength=0.0, rngs=nnx.Rngs(1))(X)[1]) == 0


@pytest.mark.parametrize(("features", "strength"), [(0, 0.1), (4, -0.1), (4, 1.5)])
def test_settings_out_of_range_are_refused(features: int, strength: float) -> None:
    with pytest.raises(FieldError):
        EnergyAttention(features, strength=strength, rngs=nnx.Rngs(0))
