"""Training in a few calls, for notebooks and scripts; a thin layer over the one loop in `nvp.training.trainer`.

trained = train_nvp("tiny", train, validation, epochs=30)          # series of nvp.atlas.series
trained.forecaster.forecast(window, steps=12)

trainer = Trainer(TrainingConfig(recipe="seeds", epochs=50), directory=Path("run"))
history = trainer.train(train, validation)                         # one TrainingMetrics per epoch
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float32, Int

from nvp.atlas.maps.gradients import Geometry, gradient
from nvp.atlas.series import SIDE, Series
from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.model.config import NVPConfig, Size
from nvp.model.literal_config import LiteralConfig
from nvp.model.nvp import NVP
from nvp.model.statistics import fit_statistics
from nvp.prediction.forecaster import Forecaster, load_forecaster
from nvp.training import checkpoint
from nvp.training.config import TrainingConfig
from nvp.training.data import Batch, Examples, TrainingData
from nvp.training.events import CheckpointSaved, EpochDone, Finished
from nvp.training.literal import first_literal_state
from nvp.training.loss import Loss
from nvp.training.metrics import TrainingMetrics, metrics_of
from nvp.training.retention import prune
from nvp.training.step import (
    Descent,
    NextState,
    Plan,
    TrainState,
    Weights,
    descent_of,
    first_state,
    forward,
    judge,
    learning_rate,
    plan_of,
    predict_step,
    step_key,
    train_step,
)
from nvp.training.trainer import Training, run


class Trained(NamedTuple):
    """What a training comes to."""

    forecaster: Forecaster
    # per epoch, on the validation part
    history: list[TrainingMetrics]
    # the checkpoint that validated best
    path: Path


class Created(NamedTuple):
    """A network before its first step."""

    graph: nnx.GraphDef[Any]
    state: TrainState
    constants: Any
    plan: Descent
    learning_rate: float


class Prepared(NamedTuple):
    """Sequences as arrays."""

    energy: Float32[np.ndarray, "n t h w"]
    # along x and y
    gradients: Float32[np.ndarray, "n t h w 2"]
    # (sequence, t) of each pair of consecutive frames t and t + 1
    pairs: Int[np.ndarray, "p 2"]


class Trainer:
    """One training with its steps in reach. Data may be given at once, for the steps, or to `train`."""

    def __init__(
        self, config: TrainingConfig, data: TrainingData | None = None, *, directory: Path | None = None
    ) -> None:
        self.config = config
        self.directory = Path(tempfile.mkdtemp(prefix="nvp-")) if directory is None else Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.history: list[TrainingMetrics] = []
        self.path: Path | None = None
        self._training = None if data is None else Training(config, data, self.directory)

    def train(
        self, train_data: Sequence[Series], val_data: Sequence[Series], *, verbose: bool = False
    ) -> list[TrainingMetrics]:
        """Train to the end, on from where an earlier call in the directory ended; the metrics of each epoch."""
        self._training = Training(self.config, TrainingData(train=train_data, validation=val_data), self.directory)
        for event in run(self._training):
            match event:
                case EpochDone(metrics=metrics) if metrics:
                    self.history.append(TrainingMetrics(**event.metrics))
                    if verbose:
                        said = f"epoch {event.epoch}: loss {event.train_loss:.4f}, fidelity {event.val_fidelity:.4f}\n"
                        sys.stderr.write(said)
                case CheckpointSaved():
                    prune(self.directory, self.config.keep)
                case Finished():
                    self.path = event.path
        return self.history

    @property
    def training(self) -> Training:
        """The network with its data; raises `FieldError` before there are any."""
        if self._training is None:
            raise FieldError("NO_DATA", "expected data, got none yet.", next_step="Give `data`, or call `train` first.")
        return self._training

    @property
    def state(self) -> TrainState:
        """Parameters, optimizer and counters."""
        return self.training.state

    def _goal(self) -> NextState:
        """The goal of a network; raises `FieldError` for the literal layout."""
        if not isinstance(goal := self.training.objective.goal, NextState):
            raise FieldError(
                "NO_STEPS", "expected a network, got the literal layout.", next_step="Call `train`, which takes both."
            )
        return goal

    def prepare_batch(self, sequence: Series, indices: Sequence[int], horizon: int = 1) -> Batch:
        """The windows that end at these frames, with what follows; the network takes the gradients itself."""
        examples = Examples(self._goal().plan.model, [sequence])
        at = {int(t): number for number, (_, t) in enumerate(examples.index)}
        possible = {int(examples.index[number][1]) for number in examples.numbers_for(horizon)}
        if wrong := sorted(set(indices) - possible):
            raise FieldError(
                "BAD_INDEX",
                f"expected frames {min(possible)} … {max(possible)} with {horizon} after them, got {wrong[0]}.",
                next_step="Leave out the ends of the sequence.",
            )
        return examples.rollouts(np.array([at[t] for t in indices]), horizon)

    def compute_loss(self, params: Weights, batch: Batch, *, training: bool = False) -> tuple[float, dict[str, float]]:
        """The loss of a batch and its terms, unweighted; `training` drops and disturbs as a step does."""
        one, goal = self.training, self._goal()
        plan = goal.plan
        if not training:
            plan = replace(plan, input_noise=0.0, model=replace(plan.model, dropout=0.0))
        loss = _loss(goal.graph, plan, params, one.constants, batch, one.seed, self.state.step)
        return float(loss.total), {name: float(value) for name, value in loss.terms.items()}

    def train_step(self, state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, float]]:
        """The state after a step, and the loss before it with its terms; the given state stays as it is."""
        one = self.training
        rate = np.float32(learning_rate(one.config, one.fraction(int(state.step))))
        kept = jax.tree.map(jnp.copy, state)
        state, loss = train_step(one.objective.goal, kept, one.constants, batch, rate, one.seed)
        terms = {name: float(value) for name, value in loss.terms.items()}
        return state, {"loss": float(loss.total), "learning_rate": float(rate), **terms}

    def val_step(self, state: TrainState, batch: Batch) -> TrainingMetrics:
        """Metrics of the running mean of the parameters, one step ahead."""
        one = self.training
        mean = predict_step(self._goal().graph, state.ema, one.constants, batch.inputs).mean
        origin = batch.inputs.history[:, -1]
        return metrics_of(np.asarray(mean), np.asarray(batch.truth[:, 0]), np.asarray(origin), one.data.spec)

    def save_checkpoint(self, epoch: int, *, final: bool = False) -> Path:
        """Write parameters, optimizer, counters and history; returns the directory."""
        one = self.training
        path = self.directory / "checkpoints" / ("final" if final else f"epoch-{epoch:06d}")
        manifest = {
            "kind": "nvp-trainer",
            "model": one.model.to_json(),
            "training": one.config.to_json(),
            "epoch": epoch,
            "history": [_finite(metrics.to_json()) for metrics in self.history],
        }
        checkpoint.write(path, manifest, checkpoint.arrays_of(one.state, "state/"))
        return path

    def load_checkpoint(self, path: Path) -> int:
        """Go back to a state of the same network; returns its epoch. Raises `FieldError` where the file is damaged."""
        one = self.training
        manifest, arrays = checkpoint.read(path)
        if manifest.get("kind") != "nvp-trainer" or type(one.model).from_json(manifest["model"]) != one.model:
            raise FieldError(
                "OTHER_TRAINING",
                f"expected a state of this network in {path}, got another.",
                next_step="Make the trainer with the configuration and data it was saved with.",
            )
        one.state = one.devices.everywhere(checkpoint.tree_of(arrays, one.state, "state/"))
        self.history = [
            TrainingMetrics(**{name: float("nan") if value is None else value for name, value in metrics.items()})
            for metrics in manifest["history"]
        ]
        return int(manifest["epoch"])

    def save_metrics(self) -> Path:
        """Write `metrics.json`, the history as it is; returns its path. `log.jsonl` beside it has every event."""
        path, unfinished = self.directory / "metrics.json", self.directory / ".metrics.json"
        rows = [_finite(metrics.to_json()) for metrics in self.history]
        unfinished.write_text(json.dumps({"epochs": rows}, indent=1, allow_nan=False), encoding="utf-8")
        unfinished.replace(path)
        return path


def train_nvp(
    model: Size | TrainingConfig,
    train: Sequence[Series],
    val: Sequence[Series],
    epochs: int = 100,
    *,
    directory: Path | None = None,
    verbose: bool = False,
) -> Trained:
    """Train a network of a size, or by a whole configuration, and load what validated best."""
    config = replace(model, epochs=epochs) if isinstance(model, TrainingConfig) else _sized(model, epochs)
    trainer = Trainer(config, directory=directory)
    history = trainer.train(train, val, verbose=verbose)
    assert trainer.path is not None
    return Trained(load_forecaster(trainer.path), history, trainer.path)


def create_train_state(
    rng: int | np.random.Generator,
    config: NVPConfig | LiteralConfig,
    *,
    learning_rate: float = 1e-4,
    input_shape: tuple[int, int] | None = None,
) -> Created:
    """A network that has seen no data but unit noise, ready for `train_step`; raises `FieldError`."""
    if isinstance(config, LiteralConfig):
        if input_shape not in (None, config.input_shape):
            raise FieldError(
                "BAD_SHAPE",
                f"expected the grid {config.input_shape} that the layout is for, got {input_shape}.",
                next_step="Leave `input_shape` out.",
            )
        descent = descent_of(TrainingConfig(learning_rate=learning_rate, beta2=0.999, ema=0.0))
        graph, state = first_literal_state(np.random.default_rng(rng), config, descent)
        return Created(graph, state, (), descent, learning_rate)
    input_shape = input_shape or (256, 256)
    if any(side % SIDE for side in input_shape) or config.site not in (None, input_shape):
        wanted = f"sides divisible by {SIDE}" if config.site is None else f"the grid {config.site}"
        raise FieldError("BAD_SHAPE", f"expected {wanted}, got {input_shape}.", next_step="Crop or regrid the field.")
    plan = plan_of(TrainingConfig(recipe="seeds", learning_rate=learning_rate, ema=0.0), config)
    network = NVP(config, fit_statistics(config, [_noise(config)]), rng=np.random.default_rng(rng))
    of_network, state, constants = first_state(network, plan)
    return Created(of_network, state, constants, plan, learning_rate)


def prepare_training_data(sequences: Sequence[Series]) -> Prepared:
    """Energies and gradients of sequences of one shape, and the pairs of consecutive frames in them."""
    shapes = {part.energy.shape for part in sequences}
    if len(shapes) != 1 or next(iter(shapes))[-1] != 1:
        raise FieldError(
            "MIXED_GRIDS",
            f"expected sequences of one shape (t, h, w, 1), got {sorted(shapes)}.",
            next_step="Cut them to one length and grid.",
        )
    energy = np.stack([part.energy[..., 0] for part in sequences]).astype(np.float32)
    slopes = [gradient(part.energy[..., 0], Geometry.of(domain(part.domain))) for part in sequences]
    n, t = energy.shape[:2]
    pairs = np.stack(np.meshgrid(np.arange(n), np.arange(t - 1), indexing="ij"), axis=-1).reshape(-1, 2)
    return Prepared(energy, np.stack(slopes).astype(np.float32), pairs)


@partial(jax.jit, static_argnames=("graph", "plan"))
def _loss(
    graph: nnx.GraphDef[NVP],
    plan: Plan,
    params: Weights,
    constants: Weights,
    batch: Batch,
    seed: Any,
    step: Int[Array, ""],
) -> Loss:
    return judge(plan, forward(graph, plan, params, constants, batch, step_key(seed, step)), batch)


def _sized(size: Size, epochs: int) -> TrainingConfig:
    return TrainingConfig(size=size, epochs=epochs)


def _noise(config: NVPConfig) -> Series:
    """A series of unit noise of the kind that the network is for."""
    rng = np.random.default_rng(0)
    frames, (height, width) = config.history + 2, config.site or (SIDE, SIDE)
    hours = np.datetime64("2000-01-01T00", "s") + 3600 * np.arange(frames)

    def field(channels: int) -> Float32[np.ndarray, "t h w c"]:
        return rng.exponential(size=(frames, height, width, channels)).astype(np.float32)

    return Series(
        energy=field(config.channels),
        context={name: field(channels) for name, channels in config.context},
        parameters=dict.fromkeys(config.parameters, 1.0),
        dt=3600.0 if config.calendar else 1.0,
        valid_time=hours if config.calendar else None,
        domain="fluid_dynamics",
    )


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in values.items()}
