"""Training of the residual's denoiser beside a network that stays as it is.

Noise levels are drawn evenly in level^(1/7), as the sampler steps through them: from a share of a cell's own deviation,
below which nothing is left to do, to far above the largest wave of the residual, whose cells add up.

References: Karras et al., NeurIPS (2022); Price et al., GenCast, Nature 637 (2025), for the distribution of the levels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from nvp.errors import FieldError
from nvp.model.config import NVPConfig
from nvp.model.denoiser import HIGHEST, LOWEST, RHO, Denoiser, level_loss, residual
from nvp.model.inputs import Inputs
from nvp.model.nvp import NVP
from nvp.training import checkpoint
from nvp.training.data import Examples, TrainingData
from nvp.training.events import CheckpointSaved, Progress
from nvp.training.stage import Trained, descend, facts_of, saved
from nvp.training.stage_config import StageConfig
from nvp.training.step import Weights, predict_step

# examples that the deviation of the residual is taken from
_SAMPLE = 64


def objective(of_denoiser: nnx.GraphDef[Denoiser], of_base: nnx.GraphDef[NVP]) -> Any:
    """The loss of a batch as a function of the denoiser's parameters."""

    def loss(
        params: Weights,
        fixed: tuple[Weights, Weights, Weights],
        inputs: Inputs,
        truth: Float[Array, "b h w c"],
        key: PRNGKeyArray,
    ) -> Array:
        constants, *base = fixed
        denoiser = nnx.merge(of_denoiser, params, constants, copy=True)
        said = nnx.merge(of_base, *base, copy=True)(inputs)
        of_levels, of_noise = jax.random.split(key)
        deviation = denoiser.deviation[...]
        ends = LOWEST ** (1 / RHO), HIGHEST ** (1 / RHO)
        level = deviation * (jax.random.uniform(of_levels, (len(truth),)) * (ends[1] - ends[0]) + ends[0]) ** RHO
        noise = jax.random.normal(of_noise, truth.shape)
        return level_loss(denoiser, residual(said, truth), noise, level, denoiser.conditions(inputs, said))

    return loss


def denoise_residual(
    config: StageConfig, base: Path, data: TrainingData, *, directory: Path
) -> Iterator[Progress | CheckpointSaved]:
    """Train a denoiser of what checkpoint `base` leaves open; the last event says where both were written."""
    graph, params, constants, model, manifest = checkpoint.load_model(base)
    examples = Examples(model, data.train, seen=True)
    chosen = np.unique(np.linspace(0, len(examples) - 1, _SAMPLE).round().astype(int))
    squares = []
    for start in range(0, len(chosen), config.batch):
        inputs, truth = examples.batch(np.resize(chosen[start : start + config.batch], config.batch))
        said = predict_step(graph, params, constants, inputs)
        squares.append(np.mean(np.asarray(residual(said, jnp.asarray(truth)), np.float64) ** 2))
    deviation = float(np.sqrt(np.mean(squares)))
    if not 0 < deviation < np.inf:
        raise FieldError(
            "NO_RESIDUAL",
            f"expected a network that leaves something open, got residuals of size {deviation}.",
            next_step="Diffuse where the next state is not certain.",
        )
    context = checkpoint.arrays_of(constants, "").get("context", np.zeros(0, np.float32))
    of_denoiser, weights, fitted = split_denoiser(model, context, deviation, rng_seed=config.rng_seed)
    loss = objective(of_denoiser, graph)
    for event in descend(loss, weights, (fitted, params, constants), examples, config):
        if not isinstance(event, Trained):
            yield event
            continue
        arrays = (
            checkpoint.arrays_of(params, "params/")
            | checkpoint.arrays_of(constants, "constants/")
            | checkpoint.arrays_of(event.params, "denoiser/params/")
            | checkpoint.arrays_of(fitted, "denoiser/constants/")
        )
        facts: dict[str, Any] = {
            "kind": "diffusion",
            "model": model.to_json(),
            # of the network, whose means the samples lie around
            **{name: manifest[name] for name in ("training", "val_fidelity", "log_scale") if name in manifest},
            **facts_of(manifest, config, event),
        }
        path = directory / f"diffusion-{facts['step']:08d}"
        sha256 = checkpoint.write(path, facts, arrays)
        yield saved(path, facts, sha256)


def split_denoiser(
    model: NVPConfig, context: Float[np.ndarray, "x"], deviation: float, *, rng_seed: int = 0
) -> tuple[nnx.GraphDef[Denoiser], Weights, Weights]:
    """Structure, first parameters and constants of the denoiser of a network."""
    denoiser = Denoiser(
        model,
        context=jnp.asarray(context, jnp.float32),
        deviation=jnp.asarray(deviation, jnp.float32),
        rng=np.random.default_rng(rng_seed),
    )
    parts: tuple[nnx.GraphDef[Denoiser], Weights, Weights] = nnx.split(denoiser, nnx.Param, ...)  # type: ignore[assignment]
    return parts


def load_diffusion(
    directory: Path,
) -> tuple[
    tuple[nnx.GraphDef[NVP], Weights, Weights],
    tuple[nnx.GraphDef[Denoiser], Weights, Weights],
    NVPConfig,
    dict[str, Any],
]:
    """Network and denoiser of a checkpoint, the network's configuration and the manifest."""
    graph, params, constants, model, manifest = checkpoint.load_model(directory, kind="diffusion")
    _, arrays = checkpoint.read(directory)
    context = arrays.get("denoiser/constants/context", np.zeros(0, np.float32))
    of_denoiser, weights, fitted = split_denoiser(model, context, 1.0)
    trained = (
        of_denoiser,
        checkpoint.tree_of(arrays, weights, "denoiser/params/"),
        checkpoint.tree_of(arrays, fitted, "denoiser/constants/"),
    )
    return (graph, params, constants), trained, model, manifest
