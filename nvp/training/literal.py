"""Training of the literal layout: Adam, running statistics beside the parameters, dropout by key.

Fields are divided by their mean over the grid, as the sum of squared errors beside two relative penalties wants it.
A checkpoint has the kind `literal` and holds parameters and running statistics; `load_forecaster` reads it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from nvp.errors import FieldError
from nvp.model.config import NVPConfig
from nvp.model.hints import slopes
from nvp.model.inputs import Inputs
from nvp.model.literal import LiteralNVP, abstract, sizes
from nvp.model.literal_config import LiteralConfig
from nvp.model.nvp import Prediction
from nvp.model.padding import Boundaries
from nvp.training import checkpoint
from nvp.training.config import LossConfig, TrainingConfig
from nvp.training.data import Batch, Examples, TrainingData
from nvp.training.loss import Loss, loss_of
from nvp.training.recipes import suited
from nvp.training.step import Descent, Goal, TrainState, Weights, begun, descent_of
from nvp.training.validation import Score, validate

# what has no meaning for a layout without members, hints and a head
_PLAIN = {"stage": None, "unroll": 1, "input_noise": 0.0, "accumulate": 1, "compute": "float32", "remat": False}
_DROPOUT = 0.1
# of the parameters, in a training
_COPIES = 6
KIND = "literal"


@dataclass(frozen=True, slots=True)
class LiteralGoal:
    """The loss of the layout on fields of unit mean; running statistics move with each batch."""

    graph: nnx.GraphDef[LiteralNVP]
    plan: Descent
    loss: LossConfig
    boundaries: Boundaries

    def __call__(
        self, params: Weights, statistics: Weights, constants: Any, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Loss, Weights]:
        before, after, _ = _unit_mean(batch.inputs.history[:, -1], batch.truth[:, 0])
        model = nnx.merge(self.graph, params, statistics, copy=True)
        mean, log_var = model(before, _gradient(before, self.boundaries), key)
        found = loss_of(self.loss, self.boundaries, mean[:, None], log_var[:, None], before, after[:, None])
        return found, nnx.state(model, nnx.BatchStat)


class Literal:
    """The objective of the layout: the next state, out of the field alone."""

    selects = True
    constants = ()
    facts: Mapping[str, Any] = {}

    def __init__(self, config: TrainingConfig, data: TrainingData) -> None:
        """Raises `FieldError` where the data or the settings do not suit, or the memory is too small."""
        shapes = {part.energy.shape[1:] for part in data.train}
        height, width, channels = next(iter(shapes))
        wrong = [name for name, plain in _PLAIN.items() if getattr(config, name) != plain]
        if wrong or config.history not in (None, 1) or channels != 1:
            got = f"{channels} channels" if channels != 1 else ", ".join(wrong or ["history"])
            raise FieldError(
                "BAD_CONFIG",
                f"expected one channel, one frame and one plain step for the literal layout, got {got}.",
                next_step="Leave that out, or train a network of another size.",
            )
        # windows of one frame without context
        spec, self.data = data.spec, data
        windows = NVPConfig(boundary_x=spec.boundary_x, boundary_y=spec.boundary_y)
        self.examples, self.held_out = Examples(windows, data.train), Examples(windows, data.validation)
        self.model = layout((height, width), dropout=_DROPOUT if config.dropout is None else config.dropout)
        self.parameters = sizes(self.model)["total"]
        _fits(self.parameters)
        config = suited(replace(config, dropout=self.model.dropout_rate), windows, spec)
        self.config, self.training = config, config.to_json()
        descent, self.boundaries = descent_of(config), (spec.boundary_y, spec.boundary_x)
        self.graph, self._first = first_literal_state(np.random.default_rng(config.rng_seed), self.model, descent)
        self.goal: Goal = LiteralGoal(self.graph, descent, config.loss or LossConfig(), self.boundaries)
        self.identity: Mapping[str, Any] = {
            "kind": KIND,
            "network": self.model.to_json(),
            "training": config.learnt(),
        }

    def first(self) -> TrainState:
        """From the weights as they were drawn."""
        return self._first

    def kept(self, state: TrainState) -> tuple[Weights, Weights]:
        """The running means of the parameters, and the running statistics."""
        return state.ema, state.statistics

    def score(self, kept: tuple[Weights, Weights], constants: Any, *, batch: int, windows: int) -> Score:
        """One step ahead; the variance is told as it is."""

        def predict(inputs: Inputs) -> Prediction:
            mean, log_var = literal_predict(self.graph, *kept, inputs.history[:, -1], boundaries=self.boundaries)
            return Prediction(mean, log_var, jnp.zeros(len(mean)))

        found = validate(predict, self.held_out, self.data.spec, batch=batch, windows=windows)
        return replace(found, log_scale=None)

    def write(self, directory: Path, kept: tuple[Weights, Weights], facts: Mapping[str, Any]) -> str:
        """As `load_literal` reads it."""
        return write_literal(directory, self.model, kept, {"training": self.training, **facts})


def layout(shape: tuple[int, int], *, dropout: float) -> LiteralConfig:
    """The layout on a grid."""
    return LiteralConfig(input_shape=shape, dropout_rate=dropout)


def first_literal_state(
    rng: np.random.Generator, config: LiteralConfig, descent: Descent
) -> tuple[nnx.GraphDef[LiteralNVP], TrainState]:
    """Structure of the model, and its state before the first step."""
    weights = jax.random.key(int(rng.integers(2**31)))
    graph, params, statistics = _split(LiteralNVP(config, rngs=nnx.Rngs(weights)))
    return graph, begun(params, descent, statistics)


def literal_batch(before: Float[np.ndarray, "b h w 1"], after: Float[np.ndarray, "b h w 1"]) -> Batch:
    """States and what follows them, as a step takes them."""
    b, height, width, _ = before.shape
    none = np.zeros((b, 0, height, width, 0), np.float32)
    inputs = Inputs(
        history=before[:, None],
        context=np.zeros((b, height, width, 0), np.float32),
        parameters=np.zeros((b, 0), np.float32),
        clock=np.zeros((b, 2), np.float32),
        dt=np.ones(b, np.float32),
        apart=np.zeros(b, np.int32),
    )
    return Batch(inputs, none, np.zeros((b, 0, 2), np.float32), after[:, None])


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


def write_literal(
    directory: Path, config: LiteralConfig, kept: tuple[Weights, Weights], facts: Mapping[str, Any]
) -> str:
    """Write what a prediction needs, parameters and running statistics; returns the digest."""
    params, statistics = kept
    arrays = checkpoint.arrays_of(params, "params/") | checkpoint.arrays_of(statistics, "statistics/")
    return checkpoint.write(directory, {"kind": KIND, "model": config.to_json(), **facts}, arrays)


def load_literal(directory: Path) -> tuple[nnx.GraphDef[LiteralNVP], Weights, Weights, LiteralConfig]:
    """Structure, parameters, running statistics and configuration of a checkpoint."""
    manifest, arrays = checkpoint.read(directory, kind=KIND)
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


def _fits(parameters: int) -> None:
    """Parameters, their running mean, gradients and Adam's two means must fit, and a copy of what is kept."""
    stats = jax.local_devices()[0].memory_stats() or {}
    free = stats.get("bytes_limit", 0) - stats.get("bytes_in_use", 0) if stats else free_memory()
    needed = 4 * _COPIES * parameters
    if free < needed:
        raise FieldError(
            "NO_MEMORY",
            f"expected {needed / 2**30:.1f} GiB for {parameters / 1e6:.1f} M parameters, got {free / 2**30:.1f} GiB.",
            next_step="Train it on a smaller grid, or a network of another size.",
        )


def free_memory() -> int:
    """Bytes of main memory that are free."""
    facts = Path("/proc/meminfo")
    if facts.exists():
        (line,) = [line for line in facts.read_text().splitlines() if line.startswith("MemAvailable:")]
        return int(line.split()[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _gradient(field: Float[Array, "b h w 1"], boundaries: Boundaries) -> Float[Array, "b h w 2"]:
    return jnp.concatenate(slopes(field, boundaries), axis=-1)


def _unit_mean(before: Float[Array, "b h w 1"], after: Float[Array, "b h w 1"]) -> tuple[Array, Array, Array]:
    """Both divided by the first one's mean over the grid (1 for an empty field), and that mean."""
    mean = jnp.mean(before, axis=(1, 2, 3), keepdims=True)
    mean = jnp.where(mean > 0, mean, jnp.ones_like(mean))
    return before / mean, after / mean, mean
