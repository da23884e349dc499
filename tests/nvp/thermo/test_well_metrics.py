"""Our metrics beside The Well's own, on golden values made by `bench/well/make_golden.py` with its package."""

from pathlib import Path

import numpy as np
import pytest

from nvp.thermo.scores import vrmse
from nvp.thermo.well_metrics import METRICS, binned_spectral_mse

GOLDEN = Path(__file__).parents[2] / "data" / "well" / "metrics.npz"
# of one value relative to theirs, which they compute in the fields' own type
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.mark.parametrize("kind", TOLERANCE)
@pytest.mark.parametrize("name", ["RMSE", "NRMSE", "VRMSE", "LInfinity"])
def test_the_same_figures(golden: dict[str, np.ndarray], name: str, kind: str) -> None:
    found = METRICS[name](golden["x"].astype(kind), golden["y"].astype(kind))
    assert found.shape == (2, 3, 5)
    np.testing.assert_allclose(found, golden[f"{kind}/{name}"], rtol=TOLERANCE[kind], atol=0)


@pytest.mark.parametrize("kind", TOLERANCE)
def test_vrmse_of_the_scores(golden: dict[str, np.ndarray], kind: str) -> None:
    x, y = (golden[name].astype(kind).reshape(6, 16, 24, 5) for name in "xy")
    np.testing.assert_allclose(vrmse(x, y), golden[f"{kind}/VRMSE"].reshape(6, 5), rtol=TOLERANCE[kind], atol=0)


@pytest.mark.parametrize("kind", TOLERANCE)
def test_correlations(golden: dict[str, np.ndarray], kind: str) -> None:
    found = METRICS["PearsonR"](golden["x"].astype(kind), golden["y"].astype(kind))
    np.testing.assert_allclose(found, golden[f"{kind}/PearsonR"], rtol=0, atol=TOLERANCE[kind])


@pytest.mark.parametrize("kind", TOLERANCE)
def test_spectral_bands(golden: dict[str, np.ndarray], kind: str) -> None:
    found = binned_spectral_mse(golden["x"].astype(kind), golden["y"].astype(kind))
    theirs = {name.partition("/")[2] for name in golden if "spectral" in name}
    assert set(found) == theirs
    assert len(theirs) == 6
    for name, values in found.items():
        np.testing.assert_allclose(
            values, golden[f"{kind}/{name}"], rtol=5 * TOLERANCE[kind], atol=TOLERANCE[kind] * 1e-3, err_msg=name
        )


def test_bands_sum_to_the_error() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 12, 20, 2))
    bands = binned_spectral_mse(x, y)
    total = sum(bands[f"spectral_error_mse_per_bin_{k}"] for k in range(3))
    np.testing.assert_allclose(total, METRICS["MSE"](x, y), rtol=1e-12)


def test_what_they_mean() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(4, 16, 16, 1))
    mean = np.broadcast_to(y.mean(axis=(1, 2), keepdims=True), y.shape)
    np.testing.assert_allclose(METRICS["VRMSE"](mean, y), np.sqrt(255 / 256), rtol=1e-6)
    np.testing.assert_allclose(METRICS["PearsonR"](y, y), 255 / 256, rtol=1e-6)
    assert (METRICS["RMSE"](y, y) == 0).all()
