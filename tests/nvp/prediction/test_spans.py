"""Windows of leads as The Well and APEBench take them."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.errors import FieldError
from nvp.prediction.baselines import LinearExtrapolation, Persistence
from nvp.prediction.evaluation import evaluate
from nvp.prediction.windows import window_of
from tests.nvp.fields import fluid_series

SERIES = [fluid_series(seed=1)]
RIVALS = {"persistence": Persistence(), "linear_extrapolation": LinearExtrapolation()}


def test_windows_are_half_open_and_count_from_zero() -> None:
    windows = ((1, 3), (2, 5), (3, 9))
    result = evaluate(Persistence(), SERIES, rivals=RIVALS, horizon=5, forcing="frozen", spans=windows)
    first, second = (span for span in result.spans if span.measure == "vrmse")
    vrmse = {lead.lead: lead.vrmse for lead in result.rollout}
    assert (first.window, first.first, first.last) == ("1:3", 2, 3)
    assert first.model == pytest.approx((vrmse[2] + vrmse[3]) / 2)
    assert second.model == pytest.approx((vrmse[3] + vrmse[4] + vrmse[5]) / 3)
    assert first.baselines["persistence"] == first.model
    (plain,) = [each for each in result.to_json()["windows"] if each["window"] == "1:3"]
    assert plain["vrmse"] == plain["persistence_vrmse"] == plain["baselines"]["persistence"] == first.model
    assert plain["baselines"].keys() == RIVALS.keys()


def test_nrmse_is_averaged_over_samples_and_then_geometrically() -> None:
    result = evaluate(Persistence(), SERIES, rivals=RIVALS, horizon=3, forcing="frozen")
    (span,) = [span for span in result.spans if span.measure == "nrmse"]
    curve = [lead.metrics["nrmse"].model for lead in result.rollout]
    assert span.model == pytest.approx(np.prod(curve) ** (1 / 3))
    assert result.to_json()["nrmse_gmean"][0]["nrmse"] == span.model


def test_the_wells_windows_are_there_where_the_horizon_reaches_them() -> None:
    long = [fluid_series(seed=1, frames=16)]
    result = evaluate(Persistence(), long, rivals=RIVALS, horizon=12, forcing="frozen")
    assert [span.window for span in result.spans if span.measure == "vrmse"] == ["6:12"]


@pytest.mark.parametrize("text", ["6", "12:6", "6:6", "a:b", "-1:3", ""])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(FieldError, match="window of steps"):
        window_of(text)
    assert window_of("6:12") == (6, 12)
