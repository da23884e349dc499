"""The literal layout as a forecaster: it sees the field alone, on the one grid it was built for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from flax import nnx

from nvp.errors import FieldError
from nvp.model.literal import LiteralNVP
from nvp.model.literal_config import LiteralConfig
from nvp.prediction.forecaster import Forcing, Forecast, Window, continuation
from nvp.training.literal import literal_predict, load_literal
from nvp.training.step import Weights


class LiteralForecaster:
    """One checkpoint, loaded."""

    history = 1

    def __init__(
        self, config: LiteralConfig, graph: nnx.GraphDef[LiteralNVP], params: Weights, statistics: Weights
    ) -> None:
        self.config = config
        self._model = (graph, params, statistics)

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        """Continue each start by `steps`; context is not looked at, and nothing keeps the total."""
        state = continuation(window, history=1).history[:, -1]
        if state.shape[1:] != (*self.config.input_shape, 1):
            raise FieldError(
                "BAD_WINDOW",
                f"expected fields of shape {(*self.config.input_shape, 1)}, got {state.shape[1:]}.",
                next_step="Regrid the field, or use a network without dense layers.",
            )
        boundaries = (window.domain.boundary_y, window.domain.boundary_x)
        means, variances = [], []
        variance = np.zeros(state.shape)
        for _ in range(steps):
            mean, log_var = (np.asarray(x) for x in literal_predict(*self._model, state, boundaries=boundaries))
            variance = variance + np.exp(log_var.astype(np.float64))
            means.append(mean)
            variances.append(np.log(variance).astype(np.float32))
            state = mean
        outflow = np.zeros((len(window), steps), np.float32)
        return Forecast(mean=np.stack(means, axis=1), log_var=np.stack(variances, axis=1), outflow=outflow)


def load(directory: Path) -> LiteralForecaster:
    """The network of a checkpoint directory."""
    graph, params, statistics, config = load_literal(directory)
    return LiteralForecaster(config, graph, params, statistics)
