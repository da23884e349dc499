"""The five perturbations: what each does, what it keeps, and what it would lose if its total were not mended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nvp.atlas.entropy import spatial_entropy
from nvp.dynamics.patterns import pattern
from nvp.dynamics.perturbations import (
    Perturbed,
    apply_energy_scaling,
    apply_gaussian_noise,
    apply_rotation,
    apply_thermal_blur,
    apply_translation,
)
from nvp.dynamics.perturbed_config import BOUNDARY_MODES
from nvp.errors import FieldError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def entropy(energy: np.ndarray) -> float:
    return float(spatial_entropy(energy[..., None]))


@pytest.fixture(params=["turbulent", "vortex"])
def energy(request: pytest.FixtureRequest) -> np.ndarray:
    return pattern(request.param, (64, 64), rng())


# -- conservation: the total before it is mended is what the operation says, and after it is kept ------------------


def test_rotation_with_zero_fill_loses_what_leaves_the_grid(energy: np.ndarray) -> None:
    """45° turns the corners out: 1 − (2√2 − 2) = 17 % of the area."""
    defects = {mode: apply_rotation(energy, 45.0, boundary=mode).defect for mode in BOUNDARY_MODES}
    ones = apply_rotation(np.ones((64, 64)), 45.0, boundary="zero")
    assert ones.defect == pytest.approx(2 * np.sqrt(2) - 3, abs=2e-3)
    assert defects["zero"] < -0.05
    # the others put something else there: they are off as well, which the mended total does not show
    assert all(abs(defects[mode]) > 1e-4 for mode in BOUNDARY_MODES)
    assert all(
        apply_rotation(np.ones((64, 64)), 45.0, boundary=m).defect == pytest.approx(0) for m in ("wrap", "nearest")
    )


@pytest.mark.parametrize("boundary", BOUNDARY_MODES)
def test_rotation_conserves(energy: np.ndarray, boundary: str) -> None:
    assert apply_rotation(energy, 33.0, boundary=boundary).energy.sum() == pytest.approx(energy.sum(), rel=1e-12)


def test_noise_conserves_and_says_what_cutting_at_zero_added() -> None:
    # on even ground nothing reaches 0: the defect is the noise's own mean
    even = apply_gaussian_noise(np.ones((64, 64)), 0.1, rng=rng())
    assert even.defect == pytest.approx(0.1 * rng().standard_normal((64, 64)).mean(), rel=1e-9)
    # where most cells are empty, half of the noise is cut
    empty = np.zeros((64, 64))
    empty[0, 0] = 4096.0
    cut = apply_gaussian_noise(empty, 1.0, rng=rng())
    assert cut.defect == pytest.approx(1 / np.sqrt(2 * np.pi), abs=0.03)
    assert cut.energy.sum() == pytest.approx(4096, rel=1e-12)


@pytest.mark.parametrize(
    ("boundary", "exact"), [("wrap", True), ("reflect", True), ("mirror", False), ("nearest", False), ("zero", False)]
)
def test_blur_conserves_by_itself_where_its_kernel_stays_on_the_grid(
    energy: np.ndarray, boundary: str, exact: bool
) -> None:
    blurred = apply_thermal_blur(energy, 3.0, boundary=boundary)
    assert (abs(blurred.defect) < 1e-12) == exact
    assert blurred.energy.sum() == pytest.approx(energy.sum(), rel=1e-12)


def test_translation_is_exact_where_it_is_periodic(energy: np.ndarray) -> None:
    moved = apply_translation(energy, 10, -3)
    assert moved.defect == 0
    assert sorted(moved.energy.ravel()) == sorted(energy.ravel())
    # out of 64² cells a strip of 10 is lost
    assert apply_translation(np.ones((64, 64)), 10, 0, boundary="zero").defect == pytest.approx(-10 / 64)


def test_scaling_changes_the_total_by_its_factor(energy: np.ndarray) -> None:
    scaled = apply_energy_scaling(energy, 1.3)
    assert scaled.energy.sum() == pytest.approx(1.3 * energy.sum())
    assert scaled.defect == pytest.approx(0.3)
    assert np.allclose(scaled.energy / energy, 1.3)


Apply = Callable[[np.ndarray, float, str], Perturbed]
CONSERVING: dict[str, Apply] = {
    "rotation": lambda e, size, mode: apply_rotation(e, 360 * size, boundary=mode),
    "noise": lambda e, size, mode: apply_gaussian_noise(e, size, rng=rng(7)),
    "blur": lambda e, size, mode: apply_thermal_blur(e, 4 * size, boundary=mode),
    "translation": lambda e, size, mode: apply_translation(e, round(5 * size), -round(3 * size), boundary=mode),
}
MAPS = arrays(float, (16, 24), elements=st.floats(0, 1e3, width=32)).filter(lambda e: e.min(axis=0).sum() > 0)


@pytest.mark.parametrize("name", CONSERVING)
@settings(max_examples=25, deadline=None)
@given(energy=MAPS, size=st.floats(0, 1), boundary=st.sampled_from(BOUNDARY_MODES))
def test_any_map_keeps_its_total_sign_and_shape(name: str, energy: np.ndarray, size: float, boundary: str) -> None:
    after, defect = CONSERVING[name](energy, size, boundary)
    assert after.shape == energy.shape
    assert after.min() >= 0
    assert np.isfinite(after).all()
    assert after.sum() == pytest.approx(energy.sum(), rel=1e-9)
    # the defect is that of the map before it was mended: by it the mended one comes from the plain one
    assert -1 < defect < np.inf


# -- entropy ----------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(energy=MAPS, sigma=st.floats(0.3, 5), boundary=st.sampled_from(["wrap", "reflect"]))
def test_blur_never_lowers_entropy(energy: np.ndarray, sigma: float, boundary: str) -> None:
    """Such a blur is doubly stochastic: each cell gives 1 and gets 1."""
    assert entropy(apply_thermal_blur(energy, sigma, boundary=boundary).energy) >= entropy(energy) - 1e-9


def test_noise_lowers_entropy_by_half_its_variance() -> None:
    even = np.ones((256, 256))
    for sigma in (0.10, 0.15, 0.20):
        fall = entropy(apply_gaussian_noise(even, sigma, rng=rng()).energy) - entropy(even)
        assert fall == pytest.approx(-(sigma**2) / 2, rel=0.05)


def test_permutations_keep_entropy(energy: np.ndarray) -> None:
    assert entropy(apply_translation(energy, 5, 9).energy) == pytest.approx(entropy(energy), abs=1e-12)
    assert entropy(apply_rotation(energy, 90.0).energy) == pytest.approx(entropy(energy), abs=1e-9)
    assert entropy(apply_energy_scaling(energy, 2.5).energy) == pytest.approx(entropy(energy), abs=1e-12)


def test_rotation_with_zero_fill_lowers_entropy_of_an_even_map() -> None:
    even = np.ones((64, 64))
    # of N cells a share a is left: S falls by −ln a
    fall = entropy(apply_rotation(even, 45.0, boundary="zero").energy) - entropy(even)
    assert fall == pytest.approx(np.log(2 * np.sqrt(2) - 2), abs=0.02)


# -- what each does ---------------------------------------------------------------------------------------------------


def test_rotation_turns_from_x_to_y() -> None:
    spot = np.zeros((33, 33))
    spot[16, 24] = 1.0
    assert np.argwhere(apply_rotation(spot, 90.0).energy > 0.99).tolist() == [[24, 16]]
    assert np.allclose(apply_rotation(spot, 360.0).energy, spot)
    eighth = apply_rotation(spot, 45.0).energy
    y, x = np.mgrid[:33, :33]
    assert ((y * eighth).sum(), (x * eighth).sum()) == pytest.approx(
        (16 + 8 / np.sqrt(2), 16 + 8 / np.sqrt(2)), abs=0.1
    )


def test_rotation_is_deterministic_and_keeps_the_shape() -> None:
    energy = pattern("turbulent", (48, 80), rng())
    one, other = apply_rotation(energy, 20.0), apply_rotation(energy, 20.0)
    assert one.energy.shape == (48, 80)
    assert np.array_equal(one.energy, other.energy)
    assert not np.allclose(one.energy, apply_rotation(energy, 21.0).energy)


def test_noise_grows_with_sigma_and_comes_from_the_generator() -> None:
    even = np.full((64, 64), 3.0)
    spread = [apply_gaussian_noise(even, sigma, rng=rng()).energy.std() for sigma in (0.05, 0.1, 0.2)]
    assert spread == pytest.approx([0.15, 0.3, 0.6], rel=0.05)
    assert np.array_equal(*(apply_gaussian_noise(even, 0.1, rng=rng(5)).energy for _ in range(2)))
    assert not np.allclose(*(apply_gaussian_noise(even, 0.1, rng=rng(s)).energy for s in (5, 6)))


def test_blur_spreads_a_spot_by_its_sigma() -> None:
    spot = np.zeros((65, 65))
    spot[32, 32] = 1.0
    blurred = apply_thermal_blur(spot, 3.0).energy
    x = np.arange(65) - 32
    assert (blurred.sum(axis=0) * x**2).sum() == pytest.approx(9.0, rel=0.01)
    energy = pattern("turbulent", (64, 64), rng())
    steep = [np.abs(np.diff(apply_thermal_blur(energy, s).energy)).mean() for s in (0.0, 1.0, 3.0)]
    assert steep[0] > 2 * steep[1] > 2 * steep[2]


def test_translation_moves_x_along_rows_and_y_down() -> None:
    spot = np.zeros((16, 24))
    spot[2, 3] = 1.0
    assert np.argwhere(apply_translation(spot, 5, 1).energy).tolist() == [[3, 8]]
    assert np.argwhere(apply_translation(spot, -4, 0).energy).tolist() == [[2, 23]]
    assert np.argwhere(apply_translation(spot, 5, 1, boundary="zero").energy).tolist() == [[3, 8]]


@pytest.mark.parametrize(
    ("apply", "word"),
    [
        (lambda e: apply_rotation(e, float("nan")), "finite angle_deg"),
        (lambda e: apply_rotation(e, 1.0, boundary="sideways"), "boundary"),
        (lambda e: apply_gaussian_noise(e, -0.1, rng=rng()), "sigma >= 0"),
        (lambda e: apply_thermal_blur(e - 2, 1.0), "at least 0"),
        (lambda e: apply_thermal_blur(e * np.nan, 1.0), "finite cells"),
        (lambda e: apply_energy_scaling(e, -1.0), "scale >= 0"),
        (lambda e: apply_translation(e, 99, 0, boundary="zero"), "stay on the grid"),
    ],
)
def test_what_makes_no_sense_is_refused(apply: Callable[[np.ndarray], Perturbed], word: str) -> None:
    with pytest.raises(FieldError, match=word):
        apply(np.ones((8, 8)))
