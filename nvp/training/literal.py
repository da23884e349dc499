"""Training of the literal layout: Adam, running statistics beside the parameters, dropout by key.

Fields are divided by their mean over the grid, as the sum of squared errors beside two relative penalties wants it.
A checkpoint has the kind `literal` and holds parameters and running statistics; `load_forecaster` reads it.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int, PRNGKeyArray

from nvp.errors import FieldError
from nvp.model.hints import slopes
from nvp.model.literal import LiteralNVP, abstract
from nvp.model.literal_config import LiteralConfig
from nvp.model.padding import Boundaries
from nvp.training import checkpoint
from nvp.training.config import LossConfig
from nvp.training.loss import Loss, loss_of
from nvp.training.recipes import SEEDS_LOSS
from nvp.training.step import Weights

KIND = "literal"


class LiteralState(NamedTuple):
    """All that changes in training."""

    params: Weights
    # running means and variances of the normalisation
    statistics: Weights
    opt_state: optax.OptState
    key: PRNGKeyArray
    step: Int[Array, ""]


def first_literal_state(
    rng: PRNGKeyArray, config: LiteralConfig, *, learning_rate: float = 1e-4
) -> tuple[nnx.GraphDef[LiteralNVP], LiteralState]:
    """Structure of the model, and its state before the first step."""
    weights, key = jax.random.split(rng)
    graph, params, statistics = _split(LiteralNVP(config, rngs=nnx.Rngs(weights)))
    state = LiteralState(params, statistics, _adam(learning_rate).init(params), key, jnp.zeros((), jnp.int32))
    return graph, state


@partial(jax.jit, static_argnames=("graph", "boundaries", "learning_rate", "loss"), donate_argnames=("state",))
def literal_step(
    graph: nnx.GraphDef[LiteralNVP],
    state: LiteralState,
    before: Float[Array, "b h w 1"],
    after: Float[Array, "b h w 1"],
    *,
    boundaries: Boundaries,
    learning_rate: float = 1e-4,
    loss: LossConfig = SEEDS_LOSS,
) -> tuple[LiteralState, Loss]:
    """The state after one batch, and the loss before."""
    key = jax.random.fold_in(state.key, state.step)
    before, after, _ = _unit_mean(before, after)

    def objective(params: Weights) -> tuple[Array, tuple[Loss, Weights]]:
        model = nnx.merge(graph, params, state.statistics, copy=True)
        mean, log_var = model(before, _gradient(before, boundaries), key)
        found = loss_of(loss, boundaries, mean[:, None], log_var[:, None], before, after[:, None])
        return found.total, (found, nnx.state(model, nnx.BatchStat))

    gradients, (found, statistics) = jax.grad(objective, has_aux=True)(state.params)
    with jax.numpy_dtype_promotion("standard"):  # optax raises floats to integer powers
        updates, opt_state = _adam(learning_rate).update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
    return LiteralState(params, statistics, opt_state, state.key, state.step + 1), found


@partial(jax.jit, static_argnames=("graph", "boundaries"))
def literal_predict(
    graph: nnx.GraphDef[LiteralNVP],
    params: Weights,
    statistics: Weights,
    energy: Float[Array, "b h w 1"],
    *,
    boundaries: Boundaries,
) -> tuple[Float[Array, "b h w 1"], Float[Array, "b h w 1"]]:
    """Mean and log-variance of the next energy, each state by itself: by the running statistics, without dropout."""
    state, _, mean = _unit_mean(energy, energy)
    model = nnx.merge(graph, params, statistics, copy=True)
    said, log_var = model(state, _gradient(state, boundaries))
    return said * mean, log_var + 2 * jnp.log(mean)


def write_literal(directory: Path, config: LiteralConfig, state: LiteralState, facts: dict[str, Any]) -> str:
    """Write what a prediction needs; returns the digest."""
    arrays = checkpoint.arrays_of(state.params, "params/") | checkpoint.arrays_of(state.statistics, "statistics/")
    return checkpoint.write(directory, {"kind": KIND, "model": config.to_json(), **facts}, arrays)


def load_literal(directory: Path) -> tuple[nnx.GraphDef[LiteralNVP], Weights, Weights, LiteralConfig]:
    """Structure, parameters, running statistics and configuration of a checkpoint."""
    manifest, arrays = checkpoint.read(directory)
    if manifest.get("kind") != KIND:
        raise FieldError(
            "BAD_CHECKPOINT",
            f"expected a network of kind {KIND} in {directory}, got {manifest.get('kind')!r}.",
            next_step="Use load_forecaster, which knows all kinds.",
        )
    config = LiteralConfig.from_json(manifest["model"])
    graph, params, statistics = _split(abstract(config))
    return (
        graph,
        checkpoint.tree_of(arrays, params, "params/"),
        checkpoint.tree_of(arrays, statistics, "statistics/"),
        config,
    )


def _split(model: LiteralNVP) -> tuple[nnx.GraphDef[LiteralNVP], Weights, Weights]:
    parts: tuple[nnx.GraphDef[LiteralNVP], Weights, Weights] = nnx.split(model, nnx.Param, nnx.BatchStat)  # type: ignore[assignment]
    return parts


def _adam(learning_rate: float) -> optax.GradientTransformation:
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(learning_rate))


def _gradient(field: Float[Array, "b h w 1"], boundaries: Boundaries) -> Float[Array, "b h w 2"]:
    return jnp.concatenate(slopes(field, boundaries), axis=-1)


def _unit_mean(before: Float[Array, "b h w 1"], after: Float[Array, "b h w 1"]) -> tuple[Array, Array, Array]:
    """Both divided by the first one's mean over the grid (1 for an empty field), and that mean."""
    mean = jnp.mean(before, axis=(1, 2, 3), keepdims=True)
    mean = jnp.where(mean > 0, mean, jnp.ones_like(mean))
    return before / mean, after / mean, mean
