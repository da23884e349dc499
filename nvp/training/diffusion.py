"""Training of the residual's denoiser beside a network that stays as it is.

Noise levels are drawn evenly in level^(1/7), as the sampler steps through them: from a share of a cell's own deviation,
below which nothing is left to do, to far above the largest wave of the residual, whose cells add up.

References: Karras et al., NeurIPS (2022); Price et al., GenCast, Nature 637 (2025), for the distribution of the levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, PRNGKeyArray

from nvp.errors import FieldError
from nvp.model.config import NVPConfig
from nvp.model.denoiser import HIGHEST, LOWEST, RHO, Denoiser, level_loss, residual
from nvp.model.nvp import NVP
from nvp.training import checkpoint
from nvp.training.config import TrainingConfig
from nvp.training.data import Batch, Examples, TrainingData
from nvp.training.loss import Loss
from nvp.training.stage_config import StageConfig
from nvp.training.step import Goal, Plan, TrainState, Weights, begun, plan_of, predict_step
from nvp.training.validation import Score

# examples that the deviation of the residual is taken from
_SAMPLE = 64


class Fixed(NamedTuple):
    """What stays as it is: the denoiser's constants, and the network whose residual it learns."""

    constants: Weights
    params_of_base: Weights
    constants_of_base: Weights


@dataclass(frozen=True, slots=True)
class DenoisingGoal:
    """The loss of the denoiser on residuals of the network, at levels of noise drawn anew."""

    of_denoiser: nnx.GraphDef[Denoiser]
    of_base: nnx.GraphDef[NVP]
    plan: Plan

    def __call__(
        self, params: Weights, statistics: Any, constants: Fixed, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Loss, Any]:
        inputs, truth = batch.inputs, batch.truth[:, 0]
        denoiser = nnx.merge(self.of_denoiser, params, constants.constants, copy=True)
        said = nnx.merge(self.of_base, constants.params_of_base, constants.constants_of_base, copy=True)(inputs)
        of_levels, of_noise = jax.random.split(key)
        deviation = denoiser.deviation[...]
        ends = LOWEST ** (1 / RHO), HIGHEST ** (1 / RHO)
        level = deviation * (jax.random.uniform(of_levels, (len(truth),)) * (ends[1] - ends[0]) + ends[0]) ** RHO
        noise = jax.random.normal(of_noise, truth.shape)
        loss = level_loss(denoiser, residual(said, truth), noise, level, denoiser.conditions(inputs, said))
        return Loss(loss, {"denoising": loss}), statistics


class Denoising:
    """The objective that trains a denoiser of what the network of checkpoint `base` leaves open."""

    selects = False

    def __init__(self, stage: StageConfig, settings: TrainingConfig, base: Path, data: TrainingData) -> None:
        """Raises `FieldError` (`NO_RESIDUAL`) where it leaves nothing open."""
        graph, params, constants, self.model, manifest = checkpoint.load_model(base)
        self.data, self.examples = data, Examples(self.model, data.train, seen=True)
        deviation = _deviation(graph, params, constants, self.examples, batch=stage.batch)
        context = checkpoint.arrays_of(constants, "").get("context", np.zeros(0, np.float32))
        of_denoiser, self._params, fitted = split_denoiser(self.model, context, deviation, rng_seed=stage.rng_seed)
        self.constants = Fixed(fitted, params, constants)
        self.parameters = sum(leaf.size for leaf in jax.tree.leaves(self._params))
        self.goal: Goal = DenoisingGoal(of_denoiser, graph, plan_of(settings, self.model))
        self.facts: Mapping[str, Any] = {"stage": stage.to_json(), "base": manifest["sha256"]}
        self.identity: Mapping[str, Any] = {"kind": "diffusion", "network": self.model.to_json(), **self.facts}
        self._of_base: dict[str, Any] = {name: manifest[name] for name in ("training", "log_scale") if name in manifest}
        self._fidelity = float(manifest["val_fidelity"])

    def first(self) -> TrainState:
        """From a denoiser that knows nothing yet."""
        return begun(self._params, self.goal.plan)

    def kept(self, state: TrainState) -> Weights:
        """The running mean of the parameters."""
        return state.ema

    def score(self, kept: Weights, constants: Fixed, *, batch: int, windows: int) -> Score:
        """That of the network, whose means the samples lie around."""
        return Score(fidelity=self._fidelity)

    def write(self, directory: Path, kept: Weights, facts: Mapping[str, Any]) -> str:
        """As `load_diffusion` reads it."""
        arrays = (
            checkpoint.arrays_of(self.constants.params_of_base, "params/")
            | checkpoint.arrays_of(self.constants.constants_of_base, "constants/")
            | checkpoint.arrays_of(kept, "denoiser/params/")
            | checkpoint.arrays_of(self.constants.constants, "denoiser/constants/")
        )
        said: dict[str, Any] = {
            "kind": "diffusion",
            "model": self.model.to_json(),
            **facts,
            **self._of_base,
            **self.facts,
        }
        return checkpoint.write(directory, said, arrays)


def _deviation(
    graph: nnx.GraphDef[NVP], params: Weights, constants: Weights, examples: Examples, *, batch: int
) -> float:
    """Root mean square of the residual, over some of the examples."""
    chosen = np.unique(np.linspace(0, len(examples) - 1, _SAMPLE).round().astype(int))
    squares = []
    for start in range(0, len(chosen), batch):
        inputs, truth = examples.batch(np.resize(chosen[start : start + batch], batch))
        said = predict_step(graph, params, constants, inputs)
        squares.append(np.mean(np.asarray(residual(said, jnp.asarray(truth)), np.float64) ** 2))
    deviation = float(np.sqrt(np.mean(squares)))
    if not 0 < deviation < np.inf:
        raise FieldError(
            "NO_RESIDUAL",
            f"expected a network that leaves something open, got residuals of size {deviation}.",
            next_step="Diffuse where the next state is not certain.",
        )
    return deviation


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
