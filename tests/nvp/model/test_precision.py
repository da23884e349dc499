"""bfloat16 costs digits of the products only, and recomputed blocks give the same gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from flax import nnx

from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.model.config import NVPConfig, config_for
from nvp.model.inputs import inputs_of
from nvp.model.nvp import NVP, Prediction
from nvp.model.statistics import fit_statistics
from nvp.prediction.forecaster import windows
from nvp.training.step import split
from tests.nvp.fields import fluid_series


def outcome(**settings: Any) -> tuple[Prediction, Any, str]:
    """Prediction, gradient of its squared error, and the program of the gradient, of a network that says something."""
    series = fluid_series()
    base = config_for(domain(series.domain), series)
    config = replace(base, widths=(8, 8, 8), latent=8, **settings)
    model = NVP(config, fit_statistics(config, [series]), rng=np.random.default_rng(0))
    last = model.unet.decoder.leave
    last.kernel[...] = jnp.asarray(np.random.default_rng(1).standard_normal(last.kernel.shape), jnp.float32) * 0.1
    graph, params, constants = split(model)
    inputs = jax.tree.map(jnp.asarray, inputs_of(config, windows(series, history=1, starts=[0, 1], steps=1)))

    def error(params: Any) -> tuple[jax.Array, Prediction]:
        prediction = nnx.merge(graph, params, constants, copy=True)(inputs)
        return jnp.sum((prediction.mean - inputs.history[:, -1]) ** 2), prediction

    differentiate = jax.jit(jax.grad(error, has_aux=True))
    gradient, prediction = differentiate(params)
    return prediction, gradient, str(jax.make_jaxpr(jax.grad(error, has_aux=True))(params))


@pytest.fixture(scope="module")
def plain() -> tuple[Prediction, Any, str]:
    return outcome()


def test_bfloat16_is_near_and_keeps_the_law(plain: tuple[Prediction, Any, str]) -> None:
    ours, gradient, program = outcome(compute="bfloat16")
    assert "bf16" in program
    assert "bf16" not in plain[2]
    assert ours.mean.dtype == jnp.float32
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(gradient))
    near, exact = np.asarray(ours.mean, np.float64), np.asarray(plain[0].mean, np.float64)
    state = fluid_series().energy[:2].astype(np.float64)
    assert 0 < np.linalg.norm(near - exact) < 0.02 * np.linalg.norm(exact - state)
    assert np.abs(near.sum(axis=(1, 2, 3)) / state.sum(axis=(1, 2, 3)) - 1).max() < 1e-6


def test_recomputed_blocks_give_the_same_gradient(plain: tuple[Prediction, Any, str]) -> None:
    ours, gradient, program = outcome(remat=True)
    assert program.count("prevent_cse") > plain[2].count("prevent_cse")
    assert np.allclose(ours.mean, plain[0].mean, rtol=1e-6)
    for one, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(plain[1]), strict=True):
        assert np.allclose(one, other, rtol=1e-4, atol=1e-5 * float(jnp.abs(other).max() + 1e-30))


def test_other_types_are_refused() -> None:
    jaxtyping.config.update("jaxtyping_disable", True)  # as outside of tests
    try:
        with pytest.raises(FieldError, match="compute out of float32, bfloat16"):
            NVPConfig.from_json({"compute": "float16"})
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
