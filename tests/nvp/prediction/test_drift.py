"""Long rollouts: perpetual motion is found, and an open domain is held to its account."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from nvp.prediction.baselines import Persistence
from nvp.prediction.drift import rollout_drift
from nvp.prediction.forecaster import Forcing, Forecast, Window
from tests.nvp.fields import fluid_series, forced_series, temperature_series

STEPS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """Every step multiplies the field, adds to it, and says what has left."""

    factor: float = 1.0
    added: float = 0.0
    outflow: float = 0.0
    history: int = 1

    def forecast(self, window: Window, steps: int, forcing: Forcing = "frozen") -> Forecast:
        frames = [window.history[:, -1].astype(np.float64)]
        for _ in range(steps):
            frames.append(frames[-1] * self.factor + self.added)
        mean = np.stack(frames[1:], axis=1).astype(np.float32)
        return Forecast(
            mean=mean,
            log_var=np.zeros_like(mean),
            outflow=np.full(mean.shape[:2], self.outflow, np.float32),
        )


def test_persistence_does_not_drift() -> None:
    found = rollout_drift(Persistence(), [fluid_series(seed=seed) for seed in range(6)], steps=STEPS)
    assert found is not None
    assert (found.steps, found.starts) == (STEPS, 4)
    assert (found.total, found.gain, found.largest, found.entropy_falls) == (0, 0, 1, 0)
    assert 0 < found.least < 1


def test_perpetual_motion_is_seen_in_the_total_and_in_the_step() -> None:
    found = rollout_drift(Growing(factor=1.001), [fluid_series()], steps=STEPS)
    assert found is not None
    assert found.total == pytest.approx(1.001**STEPS - 1, rel=1e-3)
    assert found.gain == pytest.approx(1.001 ** (STEPS - 1) * 1e-3, rel=1e-2)
    # what is lost first and made again later leaves no drift, but a gain
    lossy = rollout_drift(Growing(factor=0.99), [fluid_series()], steps=STEPS)
    assert lossy is not None
    assert lossy.gain < 0
    assert lossy.total == pytest.approx(1 - 0.99**STEPS, rel=1e-3)


def test_an_open_domain_follows_its_source_and_its_own_outflow() -> None:
    series = forced_series()
    (heat,) = {float(frame.sum(dtype=np.float64)) * series.dt for frame in series.context["source"][-1:]}
    cells = series.energy[0].size
    honest = rollout_drift(Growing(added=heat / cells), [series], steps=STEPS)
    idle = rollout_drift(Growing(), [series], steps=STEPS)
    leaking = rollout_drift(Growing(outflow=heat), [series], steps=STEPS)
    assert honest is not None
    assert idle is not None
    assert leaking is not None
    assert honest.total < 1e-5
    assert idle.total == pytest.approx(STEPS * heat / series.energy[-1].sum(dtype=np.float64), rel=1e-6)
    assert leaking.total < 1e-5
    assert np.isnan(honest.entropy_falls)


def test_a_rollout_that_is_no_number_any_more_says_so() -> None:
    found = rollout_drift(Growing(added=np.nan), [fluid_series()], steps=STEPS)
    assert found is not None
    assert set(found.to_json().values()) == {STEPS, 1, None}


def test_entropy_that_falls_is_counted() -> None:
    # taking the same from all cells sharpens, until a cell is negative
    found = rollout_drift(Growing(added=-0.001), [fluid_series()], steps=10)
    assert found is not None
    assert found.entropy_falls == 1


def test_signed_fields_and_unknown_sources_have_no_account() -> None:
    assert rollout_drift(Persistence(), [temperature_series()], steps=STEPS) is None
    assert rollout_drift(Persistence(), [replace(forced_series(), context={})], steps=STEPS) is None
    assert rollout_drift(Persistence(), [], steps=STEPS) is None
