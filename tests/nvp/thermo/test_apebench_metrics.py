"""APEBench's nRMSE by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.thermo.apebench_metrics import geometric_mean, nrmse


def test_channels_are_summed() -> None:
    y = np.zeros((1, 1, 2, 2))
    y[..., 0], y[..., 1] = [[3.0, 4.0]], [[0.0, 2.0]]
    x = y + np.array([0.0, 1.0])
    x[0, 0, 0, 0] += 1.0
    # 1/5 in the first channel, √2/2 in the second; no mean is taken off, no eps added
    assert nrmse(x, y)[0] == pytest.approx(0.2 + np.sqrt(2) / 2, rel=1e-15)
    assert nrmse(2 * y, y)[0] == pytest.approx(2)


def test_axes_of_samples_and_steps_stay() -> None:
    y = np.random.default_rng(0).normal(size=(3, 5, 8, 8, 2)).astype(np.float32)
    found = nrmse(1.5 * y, y)
    assert found.shape == (3, 5)
    np.testing.assert_allclose(found, 1.0, rtol=1e-6)
    assert np.isnan(nrmse(y[0], np.zeros_like(y[0]))).all()


def test_geometric_mean_over_steps() -> None:
    assert geometric_mean(np.array([0.1, 1.0, 10.0])) == pytest.approx(1.0)
    assert geometric_mean(np.array([0.0, 1.0])) == 0
    assert np.isnan(geometric_mean(np.array([np.nan, 1.0])))
