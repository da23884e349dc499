"""Ridge regression: it finds a linear law exactly, keeps what is to be kept, and has read the calendar."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nvp.atlas.series import Series
from nvp.errors import FieldError
from nvp.model.ridge import Ridge, RidgeConfig, fit_ridge
from nvp.prediction.forecaster import load_forecaster, truth, windows

REANALYSIS = Path(__file__).parents[4] / "shared/data/era5_t2m_uk_2019-03.nc"


def diffusing(domain: str, mode: str, *, frames: int = 20, seed: int = 0) -> Series:
    """A field that follows E' = E + 0.2·(sum of four neighbours − 4E) exactly, edges as in `mode`."""
    field, made = np.random.default_rng(seed).random((16, 24)), []
    for _ in range(frames):
        made.append(field)
        p = np.pad(field, 1, mode=mode)
        field = field + 0.2 * (p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2] - 4 * field)
    return Series(energy=np.stack(made)[..., None].astype(np.float32), dt=1.0, domain=domain)


def fidelity(model: Ridge, series: Series, steps: int = 1) -> float:
    starts = np.arange(2, len(series) - steps)
    made = model.forecast(windows(series, history=model.history, starts=starts, steps=steps), steps).mean
    seen = truth(series, starts=starts, steps=steps)
    origin = series.energy[starts][:, None]
    return float(1 - np.sqrt(((made - seen) ** 2).sum() / ((seen - origin) ** 2).sum()))


@pytest.mark.parametrize(("domain", "mode"), [("fluid_dynamics", "wrap"), ("surface_temperature", "edge")])
def test_linear_law_is_found_with_the_domain_s_edges(domain: str, mode: str) -> None:
    model = fit_ridge([diffusing(domain, mode)], RidgeConfig(history=1, patch=3, penalties=(1e-9,)))
    other = diffusing(domain, mode, seed=1)
    assert fidelity(model, other) > 0.99
    assert fidelity(model, other, steps=3) > 0.99
    # with the other kind of edge the same weights are wrong at the edges only
    wrong = diffusing(domain, "edge" if mode == "wrap" else "wrap", seed=1)
    assert fidelity(model, wrong) < 0.97


def test_a_penalty_means_the_same_however_much_data_there_is() -> None:
    one, config = diffusing("fluid_dynamics", "wrap"), RidgeConfig(penalties=(0.1,))
    few, many = fit_ridge([one], config), fit_ridge([one] * 4, config)
    np.testing.assert_allclose(few.weights, many.weights, rtol=1e-6, atol=1e-9)


def test_total_is_kept_in_a_closed_domain_and_free_in_an_open_one() -> None:
    # totals of the data go up and down: the model must not learn to
    noise = np.random.default_rng(0).random((30, 16, 24, 1), np.float32)
    closed = Series(energy=noise, dt=1.0, domain="fluid_dynamics")
    made = fit_ridge([closed]).forecast(windows(closed, history=3, starts=[2, 4], steps=3), 3).mean
    before = noise[[2, 4]].sum(axis=(1, 2, 3), dtype=np.float64)
    np.testing.assert_allclose(made.sum(axis=(2, 3, 4), dtype=np.float64), before[:, None] * np.ones(3), rtol=1e-6)
    growing = diffusing("surface_temperature", "edge")
    warming = Series(
        energy=growing.energy + np.arange(20, dtype=np.float32)[:, None, None, None],
        dt=1.0,
        domain="surface_temperature",
    )
    made = fit_ridge([warming]).forecast(windows(warming, history=3, starts=[5], steps=1), 1).mean
    assert float(made.mean() - warming.energy[5].mean()) == pytest.approx(1, abs=0.05)


def test_variance_is_that_of_the_residual_and_grows() -> None:
    rng = np.random.default_rng(0)
    noise = Series(
        energy=rng.normal(0, 2, (40, 16, 16, 1)).cumsum(axis=0).astype(np.float32), dt=1.0, domain="surface_temperature"
    )
    made = fit_ridge([noise]).forecast(windows(noise, history=3, starts=[5], steps=2), 2)
    np.testing.assert_allclose(np.exp(made.log_var[0, :, 0, 0, 0]), [4, 8], rtol=0.1)


def test_daily_cycle_of_each_cell_is_learnt_from_calendar_time() -> None:
    hours = np.arange(24 * 8)
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, (16, 16))
    energy = 280 + np.sin(2 * np.pi * hours[:, None, None] / 24 + phase)
    noise = np.random.default_rng(1).normal(0, 0.01, energy.shape)
    series = Series(
        energy=(energy + noise)[..., None].astype(np.float32),
        dt=3600.0,
        domain="surface_temperature",
        valid_time=np.datetime64("2019-03-01", "ns") + hours * np.timedelta64(3600, "s"),
    )
    model = fit_ridge([series.part(0, 144)], RidgeConfig(history=1, patch=1))
    assert len(model.daily) == 24
    assert fidelity(model, series.part(144, 192)) > 0.85
    assert fidelity(model, series.part(144, 192), steps=4) > 0.85
    timeless = Series(energy=series.energy, dt=3600.0, domain="surface_temperature")
    with pytest.raises(FieldError, match="calendar"):
        model.forecast(windows(timeless, history=1, starts=[3], steps=1), 1)


def test_penalty_is_chosen_on_validation() -> None:
    rng = np.random.default_rng(0)

    def noise(seed: int) -> Series:
        return Series(
            energy=np.random.default_rng(seed).normal(size=(6, 8, 8, 1)).astype(np.float32),
            dt=1.0,
            domain="surface_temperature",
        )

    penalties = (1e-6, 1e-1, 1e3)
    short = Series(
        energy=rng.normal(size=(5, 8, 8, 1)).cumsum(axis=0).astype(np.float32), dt=1.0, domain="surface_temperature"
    )
    walk = Series(
        energy=rng.normal(size=(40, 8, 8, 1)).cumsum(axis=0).astype(np.float32), dt=1.0, domain="surface_temperature"
    )
    # 128 rows of 78 weights and nothing to find: the stronger the better
    assert fit_ridge([short], RidgeConfig(penalties=penalties), validation=[walk]).penalty == 1e3
    # noise falls back to its mean, which is easy to find
    assert (
        fit_ridge([noise(k) for k in range(9)], RidgeConfig(penalties=penalties), validation=[noise(99)]).penalty < 1e3
    )


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    series = diffusing("fluid_dynamics", "wrap")
    model = fit_ridge([series])
    model.save(tmp_path / "model")
    loaded = load_forecaster(tmp_path / "model")
    window = windows(series, history=3, starts=[4, 7], steps=2)
    np.testing.assert_array_equal(loaded.forecast(window, 2).mean, model.forecast(window, 2).mean)
    assert loaded.history == model.history


def test_many_rows_are_thinned() -> None:
    series = [diffusing("fluid_dynamics", "wrap", seed=seed) for seed in range(4)]
    thin = fit_ridge(series, RidgeConfig(history=1, patch=3, max_rows=4000, penalties=(1e-9,)))
    assert fidelity(thin, diffusing("fluid_dynamics", "wrap", seed=9)) > 0.99


def test_unusable_input_is_refused() -> None:
    series = diffusing("fluid_dynamics", "wrap", frames=3)
    with pytest.raises(FieldError, match="more than 3 frames"):
        fit_ridge([series])
    two = Series(energy=np.zeros((9, 8, 8, 2), np.float32), dt=1.0, domain="fluid_dynamics")
    with pytest.raises(FieldError, match="one channel"):
        fit_ridge([two])
    with pytest.raises(FieldError, match="odd"):
        RidgeConfig(patch=4)


@pytest.mark.skipif(not REANALYSIS.exists(), reason="reanalysis file is not there")
def test_reanalysis_bar() -> None:
    """2 m temperature, hourly, 32×48 cells: at least 0.32 on the last fifth (linear extrapolation 0.25)."""
    import xarray as xr

    with xr.open_dataset(REANALYSIS) as file:
        energy, time = file.t2m.values[:, :32, :48, None].astype(np.float32), file.time.values
    series = Series(energy=energy, dt=3600.0, valid_time=time, domain="surface_temperature")
    model = fit_ridge([series.part(0, 278)], validation=[series.part(302, 354)])
    assert fidelity(model, series.part(403, 504)) > 0.35
