"""The climate of a site belongs to the step that begins at its hour, when it is fitted and when it is used."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from nvp.atlas.series import Series
from nvp.dynamics.domain import domain
from nvp.model.config import config_for
from nvp.model.inputs import Inputs, inputs_of
from nvp.model.nvp import NVP
from nvp.model.statistics import fit_statistics
from nvp.prediction.forecaster import windows

DAYS = 12
# of four more days without any change
SHRUNK = DAYS / (DAYS + 4)


def jumping() -> Series:
    """One warmer in the step from 5 to 6 o'clock, one colder from 17 to 18, on each of DAYS days."""
    hours = np.arange(24 * DAYS + 1)
    level = 280.0 + ((hours % 24 >= 6) & (hours % 24 < 18))
    return Series(
        energy=np.broadcast_to(level[:, None, None, None], (len(hours), 8, 8, 1)).astype(np.float32),
        dt=3600.0,
        valid_time=np.datetime64("2019-03-01T00", "s") + 3600 * hours,
        domain="surface_temperature",
    )


def test_climate_is_the_mean_change_of_the_step_that_begins_at_each_hour() -> None:
    series = jumping()
    found = fit_statistics(config_for(domain(series.domain), series), [series]).climate[0, :, 0, 0, 0]
    expected = np.zeros(24)
    expected[[5, 17]] = SHRUNK, -SHRUNK
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_the_hour_explains_is_taken_from_the_change_at_that_hour() -> None:
    series = jumping()
    config = config_for(domain(series.domain), series, history=3)
    model = NVP(config, fit_statistics(config, [series]), rng=np.random.default_rng(0))
    # at 6 o'clock the last change is the jump, at 7 the one before it
    inputs = inputs_of(config, windows(series, history=3, starts=[30, 31], steps=1))
    inputs = Inputs(*map(jnp.asarray, inputs))
    changes = model._changes(inputs, jnp.ones((2, 1, 1, 1)))
    explained = np.array([[1 - SHRUNK, 0], [0, 1 - SHRUNK]])
    np.testing.assert_allclose(np.stack(changes)[:, :, 0, 0, 0].T, explained, atol=1e-5)
