"""The heads that are compared: each can be built for the flow they are compared on, and is persistence untrained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvp.dynamics.domain import domain
from nvp.model.config import config_for
from nvp.model.inputs import inputs_of
from nvp.model.nvp import NVP
from nvp.model.statistics import fit_statistics
from nvp.prediction.forecaster import windows
from nvp.training.step import predict_step, split
from resolvers.benches.heads import HEADS
from tests.nvp.fields import fluid_series


@pytest.mark.parametrize("head", HEADS)
def test_each_head_begins_as_persistence(head: str) -> None:
    series = fluid_series(scale=16)
    config = replace(config_for(domain(series.domain), series), widths=(8, 8, 8), latent=16, **HEADS[head])
    model = NVP(config, fit_statistics(config, [series]), rng=np.random.default_rng(0))
    window = windows(series, history=1, starts=[2], steps=1)
    mean = predict_step(*split(model), inputs_of(config, window)).mean
    assert np.array_equal(mean, window.history[:, -1])


def test_the_heads_differ_in_what_they_say_about_origins() -> None:
    series = fluid_series(scale=16)
    config = config_for(domain(series.domain), series)
    outputs = {}
    for head, settings in HEADS.items():
        chosen = replace(config, widths=(8, 8, 8), latent=16, **settings)
        model = NVP(chosen, fit_statistics(chosen, [series]), rng=np.random.default_rng(0))
        outputs[head] = model.unet.decoder.leave.kernel.shape[-1] // 4
    # two shifts more than the flux head, two fluxes more than the signed change
    assert outputs["transport"] - outputs["flux"] == 2
    assert outputs["transport"] - outputs["delta"] == 2
