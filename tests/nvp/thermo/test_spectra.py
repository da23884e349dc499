"""Errors of spectra against fields whose spectra are known."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.dynamics.domain import domain
from nvp.thermo.spectra import compare_spectra, densities, spectrum_errors

FLUID = domain("fluid_dynamics")
FIELD = np.random.default_rng(0).random((2, 32, 32, 1)) + 1


def test_where_structure_lies_does_not_matter() -> None:
    moved = np.roll(FIELD, (3, 5), (1, 2))
    for values, expected in zip(spectrum_errors(moved, FIELD, FLUID), (0, 0, 1), strict=True):
        np.testing.assert_allclose(values, expected, atol=1e-10)


def test_half_the_amplitude_is_a_quarter_of_the_power() -> None:
    mean = FIELD.mean(axis=(1, 2), keepdims=True)
    error, log_error, fine = spectrum_errors(mean + 0.5 * (FIELD - mean), FIELD, FLUID)
    np.testing.assert_allclose(error, 0.75)
    np.testing.assert_allclose(log_error, np.log10(4))
    np.testing.assert_allclose(fine, 0.25)


def test_a_blur_shows_in_the_fine_structure() -> None:
    blurred = (FIELD + np.roll(FIELD, 1, 1) + np.roll(FIELD, 1, 2) + np.roll(FIELD, (1, 1), (1, 2))) / 4
    error, log_error, fine = spectrum_errors(blurred, FIELD, FLUID)
    assert (fine < 0.4).all()
    assert (error > 0.3).all()
    assert (log_error > 0.3).all()


def test_scales_count_alike_in_the_logarithm_only() -> None:
    x = np.arange(32) + np.zeros((32, 1))
    coarse, fine = (np.cos(2 * np.pi * x * k / 32)[None, ..., None] for k in (2, 12))
    truth, predicted = 1 + coarse + 0.01 * fine, 1 + coarse + 0.001 * fine
    error, log_error, small = spectrum_errors(predicted, truth, FLUID)
    assert error[0] == pytest.approx(1e-4, rel=0.02)
    # two shells hold all there is: one is right, the other 100 times too low
    assert log_error[0] == pytest.approx(1.0, rel=1e-6)
    assert small[0] == pytest.approx(0.01, rel=1e-6)


def test_uniform_truths_have_no_spectrum_and_empty_predictions_are_finite() -> None:
    assert np.isnan(spectrum_errors(FIELD, np.ones_like(FIELD), FLUID)).all()
    error, log_error, fine = spectrum_errors(np.ones_like(FIELD), FIELD, FLUID)
    np.testing.assert_allclose(error, 1)
    np.testing.assert_allclose(fine, 0, atol=1e-12)
    assert np.isfinite(log_error).all()


def test_channels_are_averaged_and_spectra_can_be_kept() -> None:
    both = np.concatenate([FIELD, 2 * FIELD], axis=-1)
    predicted = np.concatenate([FIELD, FIELD], axis=-1)
    kept = compare_spectra(densities(predicted, FLUID), densities(both, FLUID))
    np.testing.assert_allclose(kept.error, (0 + 0.75) / 2)
    np.testing.assert_allclose(spectrum_errors(predicted, both, FLUID).fine, kept.fine)
