"""Cosines of gradients against plane waves, whose angles are known."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.dynamics.domain import domain
from nvp.thermo.alignment import change_gradient_cosine, gradient_cosine

FLUID = domain("fluid_dynamics")
Y, X = np.mgrid[:16, :16]


def wave(phase: float, *, along: np.ndarray = X) -> np.ndarray:
    return np.cos(2 * np.pi * along / 16 - phase)[None, ..., None]


@pytest.mark.parametrize("phase", [0.0, 0.4, 1.0, np.pi / 2, 3.0])
def test_a_shifted_wave_turns_its_gradient_by_the_shift(phase: float) -> None:
    assert gradient_cosine(5 + wave(phase), 7 + 3 * wave(0.0), FLUID)[0] == pytest.approx(np.cos(phase))


def test_waves_across_each_other_are_not_aligned_and_uniform_fields_have_no_angle() -> None:
    assert gradient_cosine(wave(0.0), wave(0.0, along=Y), FLUID)[0] == pytest.approx(0, abs=1e-12)
    assert np.isnan(gradient_cosine(np.ones((1, 16, 16, 1)), wave(0.0), FLUID)[0])


def test_all_cells_and_channels_are_one_vector() -> None:
    # the mean of the cells' own cosines would be 0: half of them point along, half against
    steep, flat = 10 * wave(0.0), wave(0.0)
    truth, predicted = np.concatenate([steep, flat], axis=-1), np.concatenate([steep, -flat], axis=-1)
    assert gradient_cosine(predicted, truth, FLUID)[0] == pytest.approx((100 - 1) / (100 + 1))


def test_the_change_is_what_is_aligned() -> None:
    origin = 100 * wave(1.0, along=Y)
    truth, predicted = origin + wave(0.0), origin + 2 * wave(0.7)
    assert change_gradient_cosine(predicted, truth, origin, FLUID)[0] == pytest.approx(np.cos(0.7))
    # what stays hides it
    assert gradient_cosine(predicted, truth, FLUID)[0] > 0.999
    assert change_gradient_cosine(origin - wave(0.0), truth, origin, FLUID)[0] == pytest.approx(-1)


def test_persistence_has_no_change_to_align() -> None:
    origin = wave(0.3)
    assert np.isnan(change_gradient_cosine(origin, origin + wave(0.0), origin, FLUID)[0])
    assert gradient_cosine(origin, origin + 0.1 * wave(0.0), FLUID)[0] > 0.99


def test_boundaries_of_the_domain_count() -> None:
    ramp = X[None, ..., None].astype(float)
    # along an open x a ramp has one slope everywhere; where x is periodic its edge is a cliff
    open_x = gradient_cosine(ramp, 3 * ramp + 1, domain("surface_temperature"))
    assert open_x[0] == pytest.approx(1)
    # slopes of x and x² there: 1 and 2x inside, −7 and −112, −98 at the edges
    jump = gradient_cosine(ramp, ramp**2, FLUID)
    assert jump[0] == pytest.approx((210 + 7 * 112 + 7 * 98) / np.sqrt((14 + 98) * (4060 + 112**2 + 98**2)))
