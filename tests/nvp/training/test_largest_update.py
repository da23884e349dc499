"""One step may not undo a thousand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.errors import FieldError
from nvp.training.config import TrainingConfig
from nvp.training.step import Descent, optimizer


def largest(limit: float) -> list[float]:
    """Rms of each block's update when its gradient, small for long, is suddenly large."""
    plan = Descent(clip=1e9, ema=0.0, beta2=0.99, weight_decay=0.0, largest_update=limit)
    tool = optimizer(plan)
    params = {"calm": jnp.ones((4, 4)), "sudden": jnp.ones((4, 4))}
    state = tool.init(params)
    with jax.numpy_dtype_promotion("standard"):
        for step in range(60):
            gradients = {"calm": jnp.full((4, 4), (-1.0) ** step), "sudden": jnp.full((4, 4), 100.0 * (step >= 55))}
            update, state = tool.update(gradients, state, params)
    return [float(np.sqrt(np.mean(np.square(update[name])))) for name in params]


def test_an_update_has_a_limit() -> None:
    calm, sudden = largest(0.5)
    assert sudden == pytest.approx(0.5, rel=1e-4)
    # where the limit is not reached it changes nothing
    assert calm == pytest.approx(largest(0.0)[0], rel=1e-6)
    assert largest(0.0)[1] > 1


def test_a_limit_below_nothing_is_refused() -> None:
    with pytest.raises(FieldError, match="largest_update >= 0, got -1"):
        TrainingConfig(largest_update=-1.0)
