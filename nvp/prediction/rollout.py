"""Networks as forecasters: rollouts on the device, warm after the first call of each shape.

Starts come in any number: they are cut into batches and padded to a few sizes, so that the compiled step is reused.
Each step's mean becomes the next step's newest frame; the log-variance of lead s adds up the variances of the steps so
far, which takes their errors as independent. An ensemble says its members' mean, and their spread besides their
variances.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from flax import nnx
from jaxtyping import Float

from nvp.errors import FieldError
from nvp.model.config import NVPConfig
from nvp.model.inputs import Inputs, clock_of, inputs_of, stack_context
from nvp.model.nvp import NVP
from nvp.prediction.forecaster import Forcing, Forecast, Window, continuation, load_forecaster
from nvp.training.checkpoint import load_model
from nvp.training.step import Weights, predict_step

# sizes to which a batch is padded
_BUCKETS = (1, 4, 16)


class NetworkForecaster:
    """One checkpoint, loaded."""

    def __init__(self, config: NVPConfig, graph: nnx.GraphDef[NVP], params: Weights, constants: Weights) -> None:
        self.config = config
        self._model = (graph, params, constants)

    @property
    def history(self) -> int:
        """Frames it wants."""
        return self.config.history

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        """Continue each start by `steps`; raises `FieldError` where the window lacks what the network was told."""
        if steps < 1:
            raise FieldError("BAD_STEPS", f"expected at least 1 step, got {steps}.", next_step="Use 1.")
        inputs = inputs_of(self.config, window)
        later = self._forcing(window, steps) if forcing == "recorded" else None
        times = [self._clock(window, step) for step in range(steps)]
        size = next((size for size in _BUCKETS if size >= len(window)), _BUCKETS[-1])
        parts = [
            self._roll_out(inputs, later, times, np.arange(start, min(start + size, len(window))), size)
            for start in range(0, len(window), size)
        ]
        mean, log_var, outflow = (np.concatenate(values) for values in zip(*parts, strict=True))
        return Forecast(mean=mean, log_var=log_var, outflow=outflow)

    def _roll_out(
        self,
        inputs: Inputs,
        later: Float[np.ndarray, "n s h w x"] | None,
        times: list[Float[np.ndarray, "n 2"]],
        chosen: np.ndarray,
        size: int,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Some of the starts, padded to `size` by repeating them."""
        at = np.resize(chosen, size)
        batch = Inputs(*(values[at] for values in inputs))
        means, variances, outflows = [], [], []
        variance: np.ndarray | float = 0.0
        for step, clock in enumerate(times):
            context = batch.context if step == 0 or later is None else later[at, step - 1]
            batch = batch._replace(clock=clock[at], context=context)
            ahead = predict_step(*self._model, batch)
            mean = np.asarray(ahead.mean)
            variance = variance + np.exp(np.asarray(ahead.log_var, dtype=np.float64))
            means.append(mean)
            variances.append(np.log(variance).astype(np.float32))
            outflows.append(np.asarray(ahead.outflow))
            batch = batch._replace(history=np.concatenate([batch.history[:, 1:], mean[:, None]], axis=1))
        kept = len(chosen)
        return tuple(np.stack(values, axis=1)[:kept] for values in (means, variances, outflows))  # type: ignore[return-value]

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
        stacked = [
            stack_context(self.config, {name: window.forcing[name][:, k] for name in names}, window.history)
            for k in range(steps - 1)
        ]
        _, _, height, width, _ = window.history.shape
        empty = np.zeros((len(window), 0, height, width, self.config.context_channels), np.float32)
        return np.stack(stacked, axis=1) if stacked else empty


class Ensemble:
    """Several checkpoints as one forecaster."""

    def __init__(self, members: Sequence[NetworkForecaster]) -> None:
        if not members:
            raise FieldError("NO_MEMBERS", "expected at least one member, got none.", next_step="Name a checkpoint.")
        self.members = list(members)

    @property
    def history(self) -> int:
        """Frames that the member with the longest memory wants."""
        return max(member.history for member in self.members)

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        """Mean of the members; variance = mean of theirs + their spread."""
        said = [
            member.forecast(continuation(window, history=member.history), steps, forcing) for member in self.members
        ]
        means = np.stack([forecast.mean for forecast in said]).astype(np.float64)
        variance = np.mean([np.exp(forecast.log_var.astype(np.float64)) for forecast in said], axis=0)
        return Forecast(
            mean=means.mean(axis=0).astype(np.float32),
            log_var=np.log(variance + means.var(axis=0)).astype(np.float32),
            outflow=np.mean([forecast.outflow for forecast in said], axis=0).astype(np.float32),
        )


def load(directory: Path) -> NetworkForecaster:
    """The network of a checkpoint directory."""
    graph, params, constants, config, _ = load_model(directory)
    return NetworkForecaster(config, graph, params, constants)


def load_ensemble(directories: Sequence[Path]) -> Ensemble:
    """Networks of several checkpoints as one forecaster."""
    members = [load_forecaster(directory) for directory in directories]
    others = [type(member).__name__ for member in members if not isinstance(member, NetworkForecaster)]
    if others:
        raise FieldError(
            "BAD_ENSEMBLE", f"expected networks only, got {', '.join(others)}.", next_step="Leave the others out."
        )
    return Ensemble([member for member in members if isinstance(member, NetworkForecaster)])
