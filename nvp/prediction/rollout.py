"""Rollouts on the device, warm after the first call of each shape: one path per start, or several where members differ.

Starts come in any number: they are cut into batches and padded to a few sizes, so that the compiled step is reused.
Each step's state becomes the newest frame of the next. A path's state is the network's mean, or one member out of what
the network holds possible (noise that enters z_t, or a sampled residual): every path keeps its own states and draws on.

The log-variance of lead 1 is the network's. Later, one path adds up the variances of its steps, which takes their
errors as independent; several paths know better, and their spread is said.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import TypeVar

import numpy as np
from flax import nnx
from jaxtyping import Float, Float32

from nvp.errors import FieldError
from nvp.model.config import NVPConfig
from nvp.model.inputs import Inputs, clock_of, context_at, inputs_of
from nvp.model.nvp import NVP, Prediction
from nvp.prediction.forecaster import Forcing, Forecast, Window, continuation, load_forecaster
from nvp.training.checkpoint import load_model
from nvp.training.step import Weights, predict_step

# sizes to which a batch is padded
_BUCKETS = (1, 4, 16)
# members of a forecaster that can say several, unless another number is asked for
MEMBERS = 8
# smallest variance that is said: its logarithm is a number
_TINY = 1e-36
R = TypeVar("R", bound="Rollout")


class Rollout(ABC):
    """Steps put one after the other; what a step is, a subclass says."""

    def __init__(
        self, config: NVPConfig, *, members: int = 0, log_scale: Sequence[float] = (), rng_seed: int = 0
    ) -> None:
        if members == 1 or members < 0:
            raise FieldError(
                "BAD_MEMBERS",
                f"expected 0 or at least 2 members, got {members}.",
                next_step="Use 0 for the mean alone.",
            )
        self.config = config
        # paths per start; 0 for one that follows the mean
        self.members = members
        # logarithm of the factor on the variance of leads 1, 2, …; the last one holds for all later leads
        self.log_scale = tuple(log_scale)
        self.rng_seed = rng_seed

    @abstractmethod
    def step(self, batch: Inputs, rng: np.random.Generator) -> Prediction:
        """One step of each row; a member's own draws come from `rng`."""

    @property
    def history(self) -> int:
        """Frames it wants."""
        return self.config.history

    def scaled(self: R, log_scale: Sequence[float]) -> R:
        """The same with other factors on its variances."""
        other = copy(self)
        other.log_scale = tuple(log_scale)
        return other

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        """Continue each start by `steps`; raises `FieldError` where the window lacks what the network was told."""
        if steps < 1:
            raise FieldError("BAD_STEPS", f"expected at least 1 step, got {steps}.", next_step="Use 1.")
        inputs = inputs_of(self.config, window)
        later = self._forcing(window, steps) if forcing == "recorded" else None
        times = [self._clock(window, step) for step in range(steps)]
        rng = np.random.default_rng(self.rng_seed)
        paths = max(1, self.members)
        sizes = [size for size in _BUCKETS if size * paths <= _BUCKETS[-1]] or [1]
        size = next((size for size in sizes if size >= len(window)), sizes[-1])
        parts = [
            self._roll_out(inputs, later, times, np.arange(start, min(start + size, len(window))), size, rng)
            for start in range(0, len(window), size)
        ]
        mean, variance, outflow = (np.concatenate(values) for values in zip(*parts, strict=True))
        return self._said(mean, variance, outflow)

    def _said(
        self,
        states: Float32[np.ndarray, "n m s h w c"],
        variance: Float[np.ndarray, "n m s h w c"],
        outflow: Float32[np.ndarray, "n m s"],
    ) -> Forecast:
        """All paths of each start as one forecast."""
        leads = np.arange(states.shape[2])
        scale = np.array(self.log_scale or (0.0,))[np.minimum(leads, max(len(self.log_scale), 1) - 1)]
        total = variance.mean(axis=1)
        mean = states[:, 0]
        if self.members:
            mean = states.mean(axis=1, dtype=np.float64).astype(np.float32)
            # members are drawn out of what `variance` describes: they do not add to it, but know how it grows
            total[:, 1:] = states[:, :, 1:].var(axis=1, ddof=1, dtype=np.float64)
        log_var = np.log(np.maximum(total, _TINY)) + scale[:, None, None, None]
        return Forecast(
            mean=mean,
            log_var=log_var.astype(np.float32),
            outflow=outflow.mean(axis=1, dtype=np.float64).astype(np.float32),
            members=states if self.members else None,
        )

    def _roll_out(
        self,
        inputs: Inputs,
        later: Float[np.ndarray, "n s h w x"] | None,
        times: list[Float[np.ndarray, "n 2"]],
        chosen: np.ndarray,
        size: int,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """States, variances and outflows (n, m, s, …) of some of the starts, padded to `size` by repeating them."""
        paths = max(1, self.members)
        at = np.repeat(np.resize(chosen, size), paths)
        batch = Inputs(*(values[at] for values in inputs))
        states, variances, outflows = [], [], []
        variance: np.ndarray | float = 0.0
        for step, clock in enumerate(times):
            context = batch.context if step == 0 or later is None else later[at, step - 1]
            batch = batch._replace(clock=clock[at], context=context)
            ahead = self.step(batch, rng)
            state = np.asarray(ahead.mean)
            variance = variance + np.exp(np.asarray(ahead.log_var, dtype=np.float64))
            states.append(state)
            variances.append(variance)
            outflows.append(np.asarray(ahead.outflow))
            batch = batch._replace(history=np.concatenate([batch.history[:, 1:], state[:, None]], axis=1))

        def arranged(values: list[np.ndarray]) -> np.ndarray:
            stacked = np.stack(values, axis=1)
            return stacked.reshape(size, paths, *stacked.shape[1:])[: len(chosen)]

        return arranged(states), arranged(variances), arranged(outflows)

    def _clock(self, window: Window, step: int) -> Float[np.ndarray, "n 2"]:
        times = window.valid_time if self.config.calendar else None
        if times is not None:
            times = times.astype("datetime64[s]") + np.timedelta64(round(step * window.dt), "s")
        return clock_of(times, len(window))

    def _forcing(self, window: Window, steps: int) -> Float[np.ndarray, "n s h w x"]:
        """Context of steps 2 … S."""
        names = [name for name, _ in self.config.context]
        known = min((window.forcing[name].shape[1] if name in window.forcing else 0 for name in names), default=steps)
        if known < steps - 1:
            raise FieldError(
                "NO_FORCING",
                f"expected recorded context for {steps - 1} later steps, got {known}.",
                next_step="Use frozen forcing, fewer steps or a start further from the end.",
            )
        stacked = [context_at(self.config, window, step) for step in range(1, steps)]
        _, _, height, width, _ = window.history.shape
        empty = np.zeros((len(window), 0, height, width, self.config.context_channels), np.float32)
        return np.stack(stacked, axis=1) if stacked else empty


class NetworkForecaster(Rollout):
    """One network, loaded; with noise as many members as asked for, `MEMBERS` by default."""

    def __init__(
        self,
        config: NVPConfig,
        graph: nnx.GraphDef[NVP],
        params: Weights,
        constants: Weights,
        *,
        members: int | None = None,
        log_scale: Sequence[float] = (),
        rng_seed: int = 0,
    ) -> None:
        if members and not config.noise:
            raise FieldError(
                "NO_NOISE",
                f"expected a network with noise for {members} members, got one that says one thing only.",
                next_step="Train it with members, or ask for none.",
            )
        wanted = members if members is not None else MEMBERS if config.noise else 0
        super().__init__(config, members=wanted, log_scale=log_scale, rng_seed=rng_seed)
        self._model = (graph, params, constants)

    def step(self, batch: Inputs, rng: np.random.Generator) -> Prediction:
        """The network's mean, or one member's."""
        noise = None
        if self.members:
            noise = rng.standard_normal((len(batch.dt), self.config.noise), np.float32)
        prediction: Prediction = predict_step(*self._model, batch, noise)
        return prediction


class Ensemble:
    """Several checkpoints as one forecaster; each rolls out on its own."""

    def __init__(self, members: Sequence[Rollout]) -> None:
        if not members:
            raise FieldError("NO_MEMBERS", "expected at least one member, got none.", next_step="Name a checkpoint.")
        self.members = list(members)

    @property
    def history(self) -> int:
        """Frames that the member with the longest memory wants."""
        return max(member.history for member in self.members)

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        """Mean of the checkpoints; variance = mean of theirs (aleatoric) + that of their means (epistemic).

        Members are those of all checkpoints, and the means of those that have none.
        """
        said = [
            member.forecast(continuation(window, history=member.history), steps, forcing) for member in self.members
        ]
        means = np.stack([forecast.mean for forecast in said]).astype(np.float64)
        outflow = np.stack([forecast.outflow for forecast in said]).astype(np.float64)
        variance = np.mean([np.exp(forecast.log_var.astype(np.float64)) for forecast in said], axis=0)
        epistemic = means.var(axis=0, ddof=1) if len(said) > 1 else np.zeros_like(variance)
        paths = [forecast.mean[:, None] if forecast.members is None else forecast.members for forecast in said]
        return Forecast(
            mean=means.mean(axis=0).astype(np.float32),
            log_var=np.log(np.maximum(variance + epistemic, _TINY)).astype(np.float32),
            outflow=outflow.mean(axis=0).astype(np.float32),
            members=np.concatenate(paths, axis=1),
            epistemic=np.log(np.maximum(epistemic, _TINY)).astype(np.float32),
        )


def load(directory: Path) -> NetworkForecaster:
    """The network of a checkpoint directory, with the recalibration that is kept there."""
    graph, params, constants, config, manifest = load_model(directory)
    return NetworkForecaster(config, graph, params, constants, log_scale=manifest.get("log_scale", ()))


def load_ensemble(directories: Sequence[Path]) -> Ensemble:
    """Networks of several checkpoints as one forecaster."""
    members = [load_forecaster(directory) for directory in directories]
    others = [type(member).__name__ for member in members if not isinstance(member, Rollout)]
    if others:
        raise FieldError(
            "BAD_ENSEMBLE", f"expected networks only, got {', '.join(others)}.", next_step="Leave the others out."
        )
    return Ensemble([member for member in members if isinstance(member, Rollout)])
