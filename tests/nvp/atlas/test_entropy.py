"""Spatial entropy against what can be worked out by hand, in NumPy and in JAX."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.atlas.entropy import spatial_entropy


@pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "jax"])
def test_known_values(xp) -> None:
    uniform = xp.ones((8, 16, 1), dtype=xp.float32)
    single = 3.0 * (xp.arange(128) == 5).astype(xp.float32).reshape(8, 16, 1)
    two = 0.1 * (xp.arange(128) < 2).astype(xp.float32).reshape(8, 16, 1)
    assert float(spatial_entropy(uniform)) == pytest.approx(math.log(128), rel=1e-6)
    assert float(spatial_entropy(single)) == pytest.approx(0.0, abs=1e-6)
    assert float(spatial_entropy(two)) == pytest.approx(math.log(2), rel=1e-6)
    assert float(spatial_entropy(0 * uniform)) == 0.0


def test_batches_scale_and_mixing() -> None:
    fields = np.random.default_rng(0).gamma(0.5, size=(3, 4, 16, 8, 1))
    found = spatial_entropy(fields)
    assert found.shape == (3, 4)
    np.testing.assert_allclose(spatial_entropy(7.5 * fields), found, rtol=1e-12)
    # mixing neighbours cannot lower it
    assert (spatial_entropy((fields + np.roll(fields, 1, axis=-2)) / 2) >= found).all()


def test_numpy_and_jax_agree_and_the_gradient_is_finite() -> None:
    field = np.random.default_rng(1).gamma(0.5, size=(16, 16, 1)).astype(np.float32)
    field[3:9] = 0.0
    compiled = jax.jit(spatial_entropy)
    assert float(compiled(jnp.asarray(field))) == pytest.approx(float(spatial_entropy(field.astype(float))), rel=1e-5)
    assert bool(jnp.isfinite(jax.grad(spatial_entropy)(jnp.asarray(field))).all())
