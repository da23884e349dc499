"""Crop and conservative regridding: what is kept is kept, and a choice is asked for where one is needed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvp.atlas.formats.imported import Imported
from nvp.atlas.regrid import fit, nearest, overlaps, regrid
from nvp.atlas.time_axis import without_times
from nvp.errors import FieldError


def imported(values: np.ndarray) -> Imported:
    return Imported(file="f.nc", variable="e", units="1", values=values, time=without_times(len(values), dt=1.0))


def field(T: int, H: int, W: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(1.0, size=(T, H, W, 1)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(H=st.integers(4, 50), W=st.integers(4, 50), seed=st.integers(0, 99))
def test_regridding_keeps_sum_or_mean_and_sign(H: int, W: int, seed: int) -> None:
    values = field(2, H, W, seed)
    to = nearest(H), nearest(W)
    total = regrid(values, *to, kept="sum")
    mean = regrid(values, *to, kept="mean")
    assert total.shape == mean.shape == (2, *to, 1)
    exact = values.astype(float)
    np.testing.assert_allclose(total.astype(float).sum(axis=(1, 2, 3)), exact.sum(axis=(1, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(mean.astype(float).mean(axis=(1, 2, 3)), exact.mean(axis=(1, 2, 3)), rtol=1e-6)
    assert (total >= 0).all()
    assert (mean >= 0).all()


@given(old=st.integers(1, 200), new=st.integers(1, 200))
def test_every_old_cell_is_given_away_exactly_once(old: int, new: int) -> None:
    shares = overlaps(old, new)
    np.testing.assert_allclose(shares.sum(axis=0), 1.0, rtol=1e-14)
    # and every new cell is filled alike
    np.testing.assert_allclose(shares.sum(axis=1), old / new, rtol=1e-9)


def test_a_constant_stays_constant_and_halving_averages() -> None:
    assert regrid(np.full((1, 33, 49, 1), 280.0, np.float32), 32, 48, kept="mean") == pytest.approx(280.0, rel=1e-6)
    values = field(1, 16, 32)
    blocks = values.reshape(1, 8, 2, 16, 2, 1).sum(axis=(2, 4))
    np.testing.assert_allclose(regrid(values, 8, 16, kept="sum"), blocks, rtol=1e-6)
    np.testing.assert_array_equal(regrid(values, 16, 32, kept="mean"), values)


@pytest.mark.parametrize(
    ("side", "expected"), [(1, 8), (8, 8), (12, 8), (13, 16), (33, 32), (49, 48), (53, 56), (64, 64)]
)
def test_nearest(side: int, expected: int) -> None:
    assert nearest(side) == expected


def test_a_fitting_grid_is_left_alone() -> None:
    given_field = imported(field(2, 8, 16))
    for how in (None, "crop", "regrid"):
        assert fit(given_field, how, kept="sum") == (given_field, {})


def test_crop_takes_the_centre_and_says_so() -> None:
    values = field(2, 35, 54)
    found, recipe = fit(imported(values), "crop", kept="sum")
    np.testing.assert_array_equal(found.values, values[:, 1:33, 3:51])
    assert recipe == {"fit": "crop", "from": [35, 54], "offset": [1, 3]}


def test_regrid_says_what_it_kept() -> None:
    found, recipe = fit(imported(field(2, 33, 49)), "regrid", kept="mean")
    assert found.values.shape == (2, 32, 48, 1)
    assert recipe == {"fit": "regrid", "from": [33, 49], "kept": "mean"}


def test_without_a_choice_both_are_offered() -> None:
    with pytest.raises(FieldError, match=r"'e' of f\.nc, got 33×49.*--crop \(.*32×48\) or --regrid \(.*32×48\)"):
        fit(imported(field(1, 33, 49)), None, kept="sum")


@pytest.mark.parametrize("how", [None, "crop"])
def test_what_is_too_small_to_crop_can_only_be_regridded(how) -> None:
    with pytest.raises(FieldError) as caught:
        fit(imported(field(1, 5, 49)), how, kept="sum")
    assert "--crop" not in str(caught.value)
    assert "8×48" in str(caught.value)
