"""A graph with a checkpoint and sequences that it has not learnt from; members that cost nothing to train."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from graph.queries import training
from nvp.model.config import NVPConfig
from nvp.model.inputs import Inputs
from nvp.model.nvp import Prediction
from nvp.training import shadows
from resolvers.services.context import Services
from resolvers.services.submission import TrainingRequest, submit_training
from tests.nvp.training.toy import Toy
from tests.resolvers.carried import ingest_carried
from tests.resolvers.working import worked


class Carrier(Toy):
    """Knows where the field is carried; what it learns hardly shows, but tells it from others."""

    def __init__(self, config: NVPConfig, statistics: Any = None, *, rng: np.random.Generator) -> None:
        super().__init__(config, statistics, rng=rng)

    def __call__(self, inputs: Inputs, key: Any = None, noise: Any = None) -> Prediction:
        said = super().__call__(inputs, key, noise)
        state = jnp.asarray(inputs.history[:, -1])
        return said._replace(mean=jnp.roll(state, 1, axis=2) + 1e-7 * (said.mean - state))


@pytest.fixture(autouse=True)
def carrier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadows, "NVP", Carrier)


@pytest.fixture
async def checkpoint(services: Services) -> str:
    """Ridge regression that has learnt from one sequence of ten, chosen by one and tested on one."""
    uids = await ingest_carried(services, sequences=10, frames=8)
    request = TrainingRequest(sequences=tuple(uids[:3]), model="ridge", history=2)
    run = await worked(services, await submit_training(services, request))
    model = await training.model_of_run(services.gateway, run.uid)
    assert model is not None
    assert model.best_checkpoint is not None
    return model.best_checkpoint
