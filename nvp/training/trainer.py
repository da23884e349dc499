"""Training of a network: what suits the data, and the objective of the next state.

    for event in train(TrainingConfig(seconds=90), data, directory=run_directory): …

It is a generator of events: whoever drives it decides where they go, and stops it by closing it. The loop is
`nvp.training.loop`, and so is that of a second stage, which goes on where the first has ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nvp.model.config import NVPConfig, config_for
from nvp.model.inputs import Inputs
from nvp.model.literal_config import LiteralConfig
from nvp.model.nvp import NVP, Prediction, parameter_count
from nvp.model.statistics import fit_statistics
from nvp.training import checkpoint
from nvp.training.clock import Clock
from nvp.training.config import TrainingConfig
from nvp.training.data import Examples, TrainingData
from nvp.training.events import TrainingEvent
from nvp.training.linear import solve
from nvp.training.literal import Literal
from nvp.training.loop import Loop
from nvp.training.recipes import suited
from nvp.training.stages import in_two_stages
from nvp.training.step import Descent, Goal, NextState, TrainState, Weights, begun, plan_of, predict_step, split
from nvp.training.validation import Score, validate


def train(
    config: TrainingConfig, data: TrainingData, *, directory: Path, resume: bool = True
) -> Iterator[TrainingEvent]:
    """Train a network suited to the data; the last event says where the parameters that count were written.

    Raises `FieldError` where the data do not suit (`NO_DATA`, `MIXED_GRIDS`) or the loss is not finite (`DIVERGED`).
    """
    yield from run(Training(config, data, directory), resume=resume)


def run(training: Training, *, resume: bool = True) -> Iterator[TrainingEvent]:
    """All events of a training, those of its second stage included."""
    if resume:
        training.restore()
    stage = training.config.stage
    yield from training.run() if stage is None else in_two_stages(training, stage, training.data, resume=resume)


class Training(Loop):
    """One training in progress: of `model`, or of the network that suits the data."""

    def __init__(
        self, config: TrainingConfig, data: TrainingData, directory: Path, *, model: NVPConfig | None = None
    ) -> None:
        clock = Clock()
        self.model: NVPConfig | LiteralConfig
        self.plan: Descent
        if config.size == "literal":
            layout = Literal(config, data)
            self.model, self.data, self.plan = layout.model, data, layout.goal.plan
            super().__init__(layout, layout.config, directory, clock=clock)
            return
        model = model or config_for(data.spec, data.train[0], size=config.size, history=config.history)
        config = suited(config, model, data.spec)
        model = replace(model, dropout=config.dropout or 0.0, compute=config.compute, remat=config.remat)
        objective = _Forecast(config, model, data)
        self.model, self.data, self.plan = model, data, objective.plan
        super().__init__(objective, config, directory, clock=clock)


class _Forecast:
    """The objective of the next state."""

    selects = True
    facts: Mapping[str, Any] = {}

    def __init__(self, config: TrainingConfig, model: NVPConfig, data: TrainingData) -> None:
        self.model, self.data = model, data
        self.examples, self.held_out = Examples(model, data.train, seen=True), Examples(model, data.validation)
        statistics = solve(model, fit_statistics(model, data.train), self.examples)
        network = NVP(model, statistics, rng=np.random.default_rng(config.rng_seed))
        self.parameters = parameter_count(network)
        self.graph, self._params, self.constants = split(network)
        self.plan = plan_of(config, model)
        self.goal: Goal = NextState(self.graph, self.plan)
        self.training = config.to_json()
        self.identity: Mapping[str, Any] = {"kind": "nvp", "network": model.to_json(), "training": config.learnt()}

    def first(self) -> TrainState:
        """From the weights as they were drawn."""
        return begun(self._params, self.plan)

    def kept(self, state: TrainState) -> Weights:
        """The running mean of the parameters."""
        return state.ema

    def score(self, kept: Weights, constants: Weights, *, batch: int, windows: int) -> Score:
        """One step ahead."""

        def predict(inputs: Inputs) -> Prediction:
            said: Prediction = predict_step(self.graph, kept, constants, inputs)
            return said

        return validate(predict, self.held_out, self.data.spec, batch=batch, windows=windows)

    def write(self, directory: Path, kept: Weights, facts: Mapping[str, Any]) -> str:
        """As `load_model` reads it."""
        said = {"training": self.training, **facts}
        return checkpoint.write_model(directory, self.model, kept, self.constants, said)
