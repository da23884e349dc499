"""Intervals cover what they should, and a verdict can be no."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.coordinator.experiments.config import LandauConfig, PercolationConfig
from nvp.coordinator.experiments.finding import mean_effect, quotient_effect, share_effect, verdict
from nvp.errors import FieldError


def test_the_bootstrap_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    x = np.random.default_rng(0).normal(2.0, 1.0, 400)
    found = mean_effect("x", x, seed=1)
    assert found.ci95 is not None
    half = 1.96 * x.std() / np.sqrt(400)
    assert found.estimate == pytest.approx(x.mean())
    assert found.ci95 == pytest.approx((x.mean() - half, x.mean() + half), abs=0.01)
    assert found == mean_effect("x", x, seed=1)


def test_the_interval_of_a_share_is_exact() -> None:
    """Clopper–Pearson: none of 20 leaves up to 1 − (α/2)^(1/20)."""
    none = share_effect("none", [False] * 20)
    assert none.ci95 == pytest.approx((0, 1 - 0.025 ** (1 / 20)))
    half = share_effect("half", [True] * 5 + [False] * 5)
    assert half.ci95 == pytest.approx((0.1871, 0.8129), abs=1e-4)


def test_a_quotient_is_of_sums_and_none_where_it_has_no_sense() -> None:
    found = quotient_effect("q", [1, 0, 3], [1, 1, 2], seed=0)
    assert found is not None
    assert found.estimate == 1
    assert quotient_effect("q", [1, 1], [0, 0], seed=0) is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 2, 1, 2], "supported"), ([-1, -2, -1, -2], "contradicted"), ([-1, 2, 1, -1.5], "null")],
)
def test_the_interval_decides(values: list[float], expected: str) -> None:
    assert verdict(mean_effect("x", values, seed=0)) == expected


def test_settings_without_sense_are_refused() -> None:
    for wrong in ({"b": 0.0}, {"sweep": (1.0, -1.0, 5)}, {"points": 15}, {"eta_range": (1.0, 0.0)}, {"trials": 1}):
        with pytest.raises(FieldError, match=next(iter(wrong)).split("_")[0].replace("eta", "η")):
            LandauConfig(**wrong)
    with pytest.raises(FieldError, match="finite"):
        PercolationConfig(share=float("nan"))
