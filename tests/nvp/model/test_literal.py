"""The literal layout has the shapes and the number of parameters it was drawn with."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from nvp.errors import FieldError
from nvp.model.literal import LiteralNVP, ResidualBlock, abstract, sizes
from nvp.model.literal_config import LiteralConfig


def test_parameters_at_256_by_shapes_alone() -> None:
    found = sizes(LiteralConfig())
    # fusion: 2 · 32 · 32 · 256 features into 512
    assert found["fusion"] == (2 * 32 * 32 * 256 + 1) * 512
    assert found["energy"] == pytest.approx(1.9e6, rel=0.02)
    assert found["mean"] == found["log_var"] == pytest.approx(137.0e6, rel=0.001)
    assert found["total"] == sum(found[name] for name in ("energy", "gradient", "fusion", "mean", "log_var"))
    assert round(found["total"] / 1e6, 1) == 546.3


def test_the_grid_is_part_of_its_weights() -> None:
    small, wide = sizes(LiteralConfig(input_shape=(64, 64))), sizes(LiteralConfig(input_shape=(64, 128)))
    assert wide["fusion"] == pytest.approx(2 * small["fusion"], rel=1e-4)
    assert wide["energy"] == small["energy"]


def test_stages_have_the_widths_it_was_drawn_with() -> None:
    model = abstract(LiteralConfig(input_shape=(64, 64)))
    assert [stage.resample.kernel.shape for stage in model.energy.stages] == [
        (3, 3, 1, 64),
        (3, 3, 64, 128),
        (3, 3, 128, 256),
    ]
    assert model.gradient.stages[0].resample.kernel.shape == (3, 3, 2, 64)
    assert [stage.resample.kernel.shape for stage in model.mean.stages] == [
        (3, 3, 256, 256),
        (3, 3, 256, 128),
        (3, 3, 128, 64),
    ]
    assert model.mean.leave.kernel.shape == (1, 1, 64, 1)


def test_a_block_projects_only_where_the_number_of_channels_changes() -> None:
    assert ResidualBlock(3, 3, rngs=nnx.Rngs(0)).project is None
    block = ResidualBlock(2, 3, rngs=nnx.Rngs(0))
    assert block(jnp.ones((1, 4, 4, 2)), training=False).shape == (1, 4, 4, 3)


def test_maps_of_its_own_grid() -> None:
    config = LiteralConfig(
        latent_dim=4, encoder_features=(2, 3, 4), decoder_features=(4, 3, 2), input_shape=(16, 8), use_residual=False
    )
    model = LiteralNVP(config, rngs=nnx.Rngs(0))
    mean, log_var = jax.eval_shape(model, jnp.ones((3, 16, 8, 1)), jnp.ones((3, 16, 8, 2)))
    assert mean.shape == log_var.shape == (3, 16, 8, 1)


def test_configurations_that_cannot_be() -> None:
    with pytest.raises(FieldError, match="sides divisible by 8, got 20 × 16"):
        LiteralConfig(input_shape=(20, 16))
    with pytest.raises(FieldError, match="dropout in 0 … 1"):
        LiteralConfig(dropout_rate=1.0)
    config = LiteralConfig(input_shape=(8, 16))
    assert LiteralConfig.from_json(config.to_json()) == config
