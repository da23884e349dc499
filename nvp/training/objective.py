"""What the loop of `nvp.training.loop` trains: a network towards its goal, or what a second stage adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from nvp.model.config import NVPConfig
from nvp.model.literal_config import LiteralConfig
from nvp.training.data import Examples, TrainingData
from nvp.training.step import Goal, TrainState
from nvp.training.validation import Score


class Counted(NamedTuple):
    """Epochs and steps of the training that another one goes on from."""

    epochs: int = 0
    steps: int = 0


@runtime_checkable
class Objective(Protocol):
    """The start, the goal and the judge of one training."""

    data: TrainingData
    examples: Examples
    goal: Goal
    # what stays fixed: a pytree
    constants: Any
    # numbers that are trained
    parameters: int
    # the best parameters by validation are kept; else the last ones, and they are validated once, in the end
    selects: bool
    # what makes this model another one than those trained on the same data
    identity: Mapping[str, Any]
    # what a state to resume from must have been begun with, besides the configuration
    facts: Mapping[str, Any]

    @property
    def model(self) -> NVPConfig | LiteralConfig:
        """What is trained, or trained on."""
        ...

    def first(self) -> TrainState:
        """The state before the first step."""
        ...

    def kept(self, state: TrainState) -> Any:
        """What of a state is validated and kept: the running mean of the parameters."""
        ...

    def score(self, kept: Any, constants: Any, *, batch: int, windows: int) -> Score:
        """How good it is on at most so many windows of the validation part."""
        ...

    def write(self, directory: Path, kept: Any, facts: Mapping[str, Any]) -> str:
        """Write the checkpoint that a forecaster is loaded from; returns the digest of its arrays."""
        ...
