"""The four patterns, by what each claims to be."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.dynamics import patterns
from nvp.dynamics.patterns import PATTERNS, SLOPE, pattern, turbulent
from nvp.errors import FieldError

SHAPES = [(64, 64), (48, 96), (128, 40)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PATTERNS)
def test_energy_normalization(name: str, shape: tuple[int, int]) -> None:
    energy = pattern(name, shape, np.random.default_rng(0))
    assert energy.shape == shape
    assert energy.mean() == pytest.approx(1, rel=1e-12)
    assert energy.min() >= 0
    assert energy.std() > 0.05
    assert np.array_equal(energy, pattern(name, shape, np.random.default_rng(0)))
    assert not np.allclose(energy, pattern(name, shape, np.random.default_rng(1)))


def test_turbulent_has_a_kolmogorov_spectrum() -> None:
    """The shell spectrum of ln E, summed over rings of modes, falls as k^(−5/3)."""
    side, shells = 128, np.arange(4, 40)
    spectrum = np.zeros(len(shells))
    k = np.hypot(np.fft.fftfreq(side, 1 / side)[:, None], np.fft.fftfreq(side, 1 / side)[None, :])
    for seed in range(8):
        power = np.abs(np.fft.fft2(np.log(turbulent((side, side), np.random.default_rng(seed))))) ** 2
        spectrum += [power[(k >= s - 0.5) & (k < s + 0.5)].sum() for s in shells]
    slope = np.polyfit(np.log(shells), np.log(spectrum), 1)[0]
    assert slope == pytest.approx(SLOPE, abs=0.1)


def test_laminar_is_a_parabola_across_the_stream() -> None:
    energy = pattern("laminar", (64, 48), np.random.default_rng(3))
    along = 0 if np.ptp(energy, axis=0).max() == 0 else 1
    assert np.ptp(energy, axis=along).max() == 0
    profile = energy.take(0, axis=along)
    # the second difference of a parabola is the same everywhere, and E is highest in the middle
    second = np.diff(profile, 2)
    assert np.allclose(second, second[0], rtol=1e-6)
    assert second[0] < 0
    assert profile.argmax() in (len(profile) // 2 - 1, len(profile) // 2)


def test_a_vortex_is_a_ring_around_a_still_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    """v² of a Lamb–Oseen vortex is highest at 1.1209 core radii, and falls to 0 in the centre and far away."""
    monkeypatch.setattr(patterns, "VORTICES", (1, 1))
    monkeypatch.setattr(patterns, "CORE", (0.08, 0.08))
    energy = pattern("vortex", (128, 160), np.random.default_rng(0))
    lifted = (energy - energy.min()) / np.ptp(energy)
    centred = np.roll(lifted, (64, 80), axis=(0, 1))
    # the centre is where the energy is lowest within the ring
    ring = np.argwhere(lifted > 0.98)
    centre = (
        ring.mean(axis=0) if np.ptp(ring, axis=0).max() < 64 else np.argwhere(centred > 0.98).mean(axis=0) - (64, 80)
    )
    y, x = (centre % (128, 160)).round().astype(int)
    assert lifted[y, x] < 0.1
    radius = np.hypot(*(ring - centre).T)
    assert np.median(np.minimum(radius, 999)) == pytest.approx(1.1209 * 0.08 * 128, rel=0.1)


def test_random_cells_are_independent_and_exponential() -> None:
    energy = pattern("random", (128, 128), np.random.default_rng(0))
    assert energy.std() == pytest.approx(1, abs=0.05)
    assert np.quantile(energy, 1 - np.exp(-2)) == pytest.approx(2, abs=0.1)
    assert abs(np.corrcoef(energy[:, :-1].ravel(), energy[:, 1:].ravel())[0, 1]) < 0.03


@pytest.mark.parametrize(("name", "shape"), [("striped", (8, 8)), ("random", (1, 8))])
def test_other_patterns_and_grids_are_refused(name: str, shape: tuple[int, int]) -> None:
    with pytest.raises(FieldError, match=r"pattern out of|2×2"):
        pattern(name, shape, np.random.default_rng(0))
