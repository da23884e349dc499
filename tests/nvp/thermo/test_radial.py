"""The radial spectrum against what is known of waves and of variance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvp.thermo.radial import radial_spectrum


@given(
    height=st.sampled_from([16, 24, 64]),
    width=st.sampled_from([16, 48, 64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_shells_hold_the_whole_variance(height: int, width: int, seed: int) -> None:
    fields = np.random.default_rng(seed).normal(3.0, 2.0, (2, height, width))
    found = radial_spectrum(fields)
    np.testing.assert_allclose(found.density.sum(axis=1) * found.width, fields.var(axis=(1, 2)), rtol=1e-10)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (128, 384), (48, 16)])
@pytest.mark.parametrize("boundary", ["periodic", "open", "wall"])
@pytest.mark.parametrize("along", ["x", "y"])
def test_a_single_wave_peaks_at_its_wave_number(height: int, width: int, boundary: str, along: str) -> None:
    y, x = np.mgrid[:height, :width]
    # five waves per shorter side, along either axis
    wave = 5 / min(height, width)
    field = 7.0 + np.cos(2 * np.pi * wave * (x if along == "x" else y))[None]
    found = radial_spectrum(field, boundary_x=boundary, boundary_y=boundary)  # type: ignore[arg-type]
    assert found.wave_number[np.argmax(found.density[0])] == pytest.approx(wave)
    share = found.density[0].max() / found.density[0].sum()
    # without a taper all of it, under Hann's window most of it
    assert share > (0.999 if boundary == "periodic" else 0.6)


def test_a_jump_at_an_open_edge_is_no_structure() -> None:
    ramp = np.broadcast_to(np.linspace(0.0, 1.0, 64), (1, 64, 64))
    small = {
        boundary: radial_spectrum(ramp, boundary_x=boundary).density[0, 16:].sum()  # type: ignore[arg-type]
        for boundary in ("periodic", "open")
    }
    assert small["open"] < 1e-2 * small["periodic"]


def test_a_uniform_field_has_no_spectrum() -> None:
    assert (radial_spectrum(np.full((1, 16, 16), 5.0)).density < 1e-25).all()
