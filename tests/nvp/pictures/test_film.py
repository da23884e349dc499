"""Colours and limits: what looks alike must be alike."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.errors import FieldError
from nvp.pictures.film import comparison, context_film, energy_film, film
from nvp.pictures.style import BESIDE, DIVERGING, SEQUENTIAL
from tests.nvp.pictures.series import OPEN, SIGNED, series


def test_an_energy_has_a_sequential_map_and_a_field_of_two_signs_one_centred_on_zero() -> None:
    rng = np.random.default_rng(0)
    positive = film("E", rng.uniform(1, 2, (3, 8, 8)))
    assert positive.colours == SEQUENTIAL
    assert 1 <= positive.low < positive.high <= 2
    signed = film("ω", rng.normal(0.3, 1.0, (3, 8, 8)))
    assert signed.colours == DIVERGING
    assert signed.low == -signed.high


def test_a_kelvin_field_is_not_centred_on_absolute_zero() -> None:
    warm = series()
    kelvin = energy_film(series(energy=warm.energy + 280), SIGNED)
    assert kelvin.colours == SEQUENTIAL
    assert kelvin.low > 280
    assert kelvin.quantity == "field (K)"


def test_few_extreme_cells_do_not_take_all_the_colours_and_are_pointed_at() -> None:
    frames = np.random.default_rng(0).uniform(1, 2, (1, 100, 100))
    assert film("E", frames).extend == "both"
    frames[0, 0, 0] = 1e6
    assert film("E", frames).high <= 2
    assert film("E", np.linspace(0, 1, 3).repeat(100).reshape(3, 10, 10)).extend == "neither"


def test_a_uniform_field_has_limits_around_it() -> None:
    for value in (0.0, 5.0):
        flat = film("E", np.full((2, 8, 8), value))
        assert flat.low < value < flat.high


def test_context_is_itself_or_its_magnitude() -> None:
    shown = series()
    speed = context_film(shown, "velocity")
    assert (speed.label, speed.colours) == ("|velocity|", BESIDE)
    np.testing.assert_allclose(speed.frames**2, (shown.context["velocity"] ** 2).sum(-1), rtol=1e-5)
    cooled = series(context={"source": -np.ones((12, 16, 16, 1), np.float32)})
    assert context_film(cooled, "source").label == "source"
    with pytest.raises(FieldError, match=r"velocity.*'pressure'"):
        context_film(shown, "pressure")


def test_truth_and_prediction_share_their_colours_and_the_error_is_their_difference() -> None:
    rng = np.random.default_rng(0)
    truth, said = rng.uniform(1, 2, (3, 8, 8)), rng.uniform(5, 6, (3, 8, 8))
    one, other, error = comparison(truth, said, OPEN)
    assert (one.low, one.high, one.colours) == (other.low, other.high, other.colours)
    assert [each.label for each in (one, other, error)] == ["truth", "prediction", "error"]
    np.testing.assert_array_equal(error.frames, said - truth)
    assert error.colours == DIVERGING
    assert error.low == -error.high
