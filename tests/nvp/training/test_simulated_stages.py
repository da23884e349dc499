"""Second stages on a flow that was simulated: they learn, and every member keeps what the flow keeps."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest

from nvp.atlas.series import Series
from nvp.dynamics.config import configure
from nvp.dynamics.simulators import simulator
from nvp.prediction.forecaster import load_forecaster, windows
from nvp.training.config import TrainingConfig
from nvp.training.data import TrainingData
from nvp.training.events import EpochDone, Finished
from nvp.training.stage_config import Kind, StageConfig
from nvp.training.stages import second_stage
from tests.nvp.coin import untrained


@pytest.fixture(scope="module")
def flows() -> list[Series]:
    config = configure("fluid_dynamics", {"scale": 16, "steps": 8})
    return simulator("fluid_dynamics")(config, jax.random.key(3), sequences=4)


@pytest.fixture(scope="module")
def base(flows: list[Series], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that says persistence."""
    return untrained(tmp_path_factory.mktemp("base"), flows[0], {"val_fidelity": 0.0})


@pytest.mark.parametrize("kind", ["members", "diffusion"])
def test_a_stage_learns_and_keeps_the_law(kind: Kind, flows: list[Series], base: Path, tmp_path: Path) -> None:
    stage = StageConfig(kind=kind, noise=4, epochs=8, batch=4, learning_rate=4e-3)
    data = TrainingData(train=flows[:3], validation=flows[3:])
    settings = TrainingConfig(devices=1, tensorboard=False)
    events = list(second_stage(stage, base, data, directory=tmp_path, settings=settings).run())
    losses = [event.train_loss for event in events if isinstance(event, EpochDone)]
    assert np.mean(losses[-2:]) < 0.9 * np.mean(losses[:2])
    ended = events[-1]
    assert isinstance(ended, Finished)
    # the mean of the members has learnt the flow; samples lie around the mean that there was
    assert ended.val_fidelity > 0.1 if kind == "members" else ended.val_fidelity == 0

    said = load_forecaster(ended.path).forecast(windows(flows[3], history=1, starts=[0, 4], steps=2), 2)
    assert said.members is not None
    held = flows[3].energy[[0, 4]].sum(axis=(1, 2, 3), dtype=np.float64)
    found = said.members.sum(axis=(-3, -2, -1), dtype=np.float64)
    assert np.abs(found / held[:, None, None] - 1).max() < 1e-5
    assert said.members.min() >= 0
    assert said.members.std(axis=1).max() > 0
