"""One value per sequence: that of an evaluation on it alone; all have the same starts and the same disturbance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvp.atlas.series import Series
from nvp.dynamics.domain import domain
from nvp.errors import FieldError
from nvp.prediction.baselines import LinearExtrapolation, Persistence
from nvp.prediction.evaluation import evaluate
from nvp.prediction.forecaster import Forecast, Forecaster, Window, windows
from nvp.prediction.perturbed import Perturbed
from nvp.prediction.samples import Unit, sample, units_of
from nvp.thermo.scores import fidelity_score, pair_errors
from tests.nvp.fields import fluid_series

MODEL, STILL = "model", "persistence"
BESIDE = {"persistence": Persistence()}


@pytest.fixture(scope="module")
def units() -> list[Unit]:
    series = [replace(fluid_series(seed=seed), uid=f"s{seed}") for seed in (0, 1, 3)]
    return units_of(series, history=2, horizon=2)


def both(inner: Forecaster | None = None) -> dict[str, Forecaster]:
    return {MODEL: inner or LinearExtrapolation(), STILL: Persistence()}


@pytest.mark.parametrize("metric", ["fidelity", "vrmse", "rmse", "pearson_r", "closure", "second_law_violations"])
def test_a_sample_is_an_evaluation_on_its_sequence_alone(units: list[Unit], metric: str) -> None:
    leads = {MODEL: (1, 2), STILL: (2,)}
    found = sample(both(), units, metric=metric, leads=leads, model=MODEL, most=1000)
    assert list(found.values) == ["s0", "s1", "s3"]
    for unit in units:
        alone = evaluate(LinearExtrapolation(), unit.parts, rivals=BESIDE, horizon=2, rollouts=1000, forcing="frozen")
        for lead in (1, 2):
            at = alone.at(lead)
            assert at is not None
            expected = {
                "fidelity": at.fidelity.pooled,
                "vrmse": at.vrmse,
                "closure": at.first_law and at.first_law.model,
                "second_law_violations": at.second_law and at.second_law.model,
            }.get(metric) or (at.metrics[metric].model if metric in at.metrics else 0.0)
            assert found.values[unit.uid][MODEL][lead].value == pytest.approx(expected, nan_ok=True)
    if metric == "fidelity":
        assert {one[STILL][2].value for one in found.values.values()} == {0.0}


def test_coverage_is_of_those_who_claim_something(units: list[Unit]) -> None:
    class Sure(Persistence):
        def forecast(self, window: Window, steps: int, forcing: object = "frozen") -> Forecast:
            made = super().forecast(window, steps)
            return replace(made, log_var=np.full_like(made.mean, 9.0))

    leads = {MODEL: (1,), STILL: (1,)}
    found = sample(both(Sure()), units[:1], metric="coverage90", leads=leads, model=MODEL)
    assert found.values["s0"][MODEL][1].value == 1.0
    assert np.isnan(found.values["s0"][STILL][1].value)


def test_the_headline_pools_what_the_samples_weigh(units: list[Unit]) -> None:
    found = sample(both(), units, metric="fidelity", leads={MODEL: (1,)}, model=MODEL, most=1000)
    pairs = [(part, at) for unit in units for part in unit.parts for at in range(1, len(part) - 1)]
    before, after, earlier = (np.stack([part.energy[at + k] for part, at in pairs]) for k in (0, 1, -1))
    score = fidelity_score(pair_errors(2 * before - earlier, after, before), blocks=np.arange(len(pairs)))
    assert found.fidelity.pooled == pytest.approx(score.pooled, rel=1e-6)
    assert found.fidelity.n == score.n
    weights = [one[MODEL][1] for one in found.values.values()]
    pooled = 1 - np.sqrt(sum((1 - one.value) ** 2 * one.change for one in weights) / sum(one.change for one in weights))
    assert pooled == pytest.approx(score.pooled, rel=1e-6)
    assert found.to_json()["samples"]["values"]["s1"][MODEL]["1"][1] == weights[1].pairs


def test_starts_are_thinned_and_what_is_too_short_has_no_value(units: list[Unit]) -> None:
    still = Unit(uid="still", parts=(fluid_series(seed=2),))
    short = Unit(uid="short", parts=(units[0].parts[0].part(0, 3),))
    found = sample(both(), [units[0], short, still], metric="fidelity", leads={MODEL: (2,)}, model=MODEL, most=2)
    assert found.values["s0"][MODEL][2].pairs <= 2
    assert found.values["short"][MODEL][2].pairs == 0
    assert np.isnan(found.values["short"][MODEL][2].value)
    assert np.isnan(found.values["still"][MODEL][2].value), "nothing changes in it"


def test_days_are_samples_of_a_record() -> None:
    frames = 49
    times = np.datetime64("2019-03-25T00", "s") + 3600 * np.arange(frames)
    energy = np.random.default_rng(0).uniform(1, 2, (frames, 8, 8, 1)).astype(np.float32)
    series = Series(energy=energy, dt=3600.0, valid_time=times, domain="surface_temperature", uid="r")
    units = units_of([series], history=2, horizon=1)
    assert [unit.uid for unit in units] == ["r@2019-03-25", "r@2019-03-26"]
    starts = [len(unit.parts[0]) - 2 for unit in units]
    assert starts == [23, 24], "each start lies in one day"
    assert units[1].parts[0].first == 23, "with the frame before that the history needs"


def test_all_see_the_same_disturbance() -> None:
    series = fluid_series()
    window = windows(series, history=1, starts=[0, 1, 2], steps=1)
    shown = Perturbed(forecaster=Persistence(), operation="gaussian_noise", amount=0.1, rng_seed=3)
    together = shown.forecast(window, 1).mean[:, 0]
    apart = shown.forecast(windows(series, history=1, starts=[1], steps=1), 1).mean[0, 0]
    np.testing.assert_array_equal(together[1], apart)
    error = together - window.history[:, 0]
    assert np.std(error) == pytest.approx(0.1 * window.history.mean(), rel=0.1)
    assert not np.array_equal(error[0], error[1])
    other = replace(shown, rng_seed=4).forecast(window, 1).mean[:, 0]
    assert not np.array_equal(other, together)


@pytest.mark.parametrize(
    ("operation", "amount"), [("thermal_blur", 1.0), ("rotation", 90.0), ("translation", 2.0), ("energy_scaling", 1.5)]
)
def test_each_operation_changes_the_inputs_and_not_the_truth(operation: str, amount: float) -> None:
    unit = Unit(uid="s", parts=(fluid_series(),))
    forecasters = {MODEL: Perturbed(forecaster=Persistence(), operation=operation, amount=amount)}
    found = sample(forecasters, [unit], metric="fidelity", leads={MODEL: (1,)}, model=MODEL)
    assert abs(found.values["s"][MODEL][1].value) > 0.01, "to persist in what is there would score 0"


def test_what_is_no_energy_is_not_disturbed() -> None:
    series = fluid_series()
    window = replace(
        windows(series, history=1, starts=[0], steps=1), domain=replace(domain(series.domain), signed=True)
    )
    with pytest.raises(FieldError, match="energies to disturb"):
        Perturbed(forecaster=Persistence(), operation="rotation", amount=90.0).forecast(window, 1)
