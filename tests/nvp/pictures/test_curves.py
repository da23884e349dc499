"""Spectrum, budget and entropy: the lines are the numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nvp.atlas.entropy import spatial_entropy
from nvp.errors import FieldError
from nvp.pictures.budget import budget_figure, energy_budget
from nvp.pictures.entropy import entropy_figure
from nvp.pictures.spectrum import MOST, spectrum_figure
from nvp.pictures.times import stamp, times
from nvp.thermo.radial import radial_spectrum
from tests.nvp.pictures.series import CLOSED, OPEN, SIGNED, series


def test_the_budget_of_recorded_terms_closes() -> None:
    shown = series(frames=20)
    found = energy_budget(shown, OPEN)
    assert found.source is not None
    assert found.outflow is not None
    assert found.residual is not None
    np.testing.assert_allclose(found.held, found.held[0] + found.source - found.outflow, rtol=1e-6)
    assert found.residual.max() < 1e-6
    # what led to the first frame is no part of it
    assert (found.source[0], found.outflow[0]) == (0.0, 0.0)
    wrong = energy_budget(replace(shown, outflow_total=np.zeros(20)), OPEN)
    assert wrong.residual is not None
    assert wrong.residual.max() > 1e-3


def test_the_residual_drawn_is_the_one_computed() -> None:
    shown = series(frames=8)
    found = energy_budget(shown, OPEN)
    made = budget_figure(found, times(shown), title="Title")
    top, middle, bottom = made.axes
    np.testing.assert_array_equal(top.lines[0].get_ydata(), found.held)
    np.testing.assert_array_equal(top.lines[0].get_xdata(), times(shown))
    labels = {line.get_label(): line for line in middle.lines}
    np.testing.assert_array_equal(labels["source Σ∫Q dt"].get_ydata(), found.source)
    np.testing.assert_array_equal(labels["net outflow"].get_ydata(), found.outflow)
    np.testing.assert_array_equal(bottom.lines[0].get_ydata(), found.residual)
    low, high = bottom.get_ylim()
    assert found.residual is not None
    assert low < 0 <= found.residual.min() <= found.residual.max() < high
    assert [axes.get_ylabel() for axes in made.axes] == [
        "energy on the grid",
        "since the first frame",
        "first-law residual / ΣE",
    ]
    assert bottom.get_xlabel() == "t (domain time units)"


def test_a_closed_domain_needs_no_record_and_an_open_one_without_says_so() -> None:
    bare = series(source_total=None, outflow_total=None)
    assert len(budget_figure(energy_budget(bare, CLOSED), times(bare), title="").axes) == 2
    (only,) = budget_figure(energy_budget(bare, OPEN), times(bare), title="").axes
    assert "source and outflow were not recorded" in [text.get_text() for text in only.texts]


def test_a_constant_total_is_drawn_as_a_straight_line() -> None:
    flat = series(energy=np.full((12, 16, 16, 1), 2.0, np.float32), source_total=None, outflow_total=None)
    low, high = budget_figure(energy_budget(flat, CLOSED), times(flat), title="").axes[0].get_ylim()
    assert high - low > 0.5


def test_signed_fields_have_neither_budget_nor_entropy() -> None:
    shown = series()
    with pytest.raises(FieldError, match="spectrum"):
        energy_budget(shown, SIGNED)
    with pytest.raises(FieldError, match="spectrum"):
        entropy_figure(shown, times(shown), SIGNED, title="")


def test_entropy_is_drawn_in_nats_below_its_limit() -> None:
    shown = series()
    (axes,) = entropy_figure(shown, times(shown), OPEN, title="").axes
    np.testing.assert_allclose(axes.lines[0].get_ydata(), spatial_entropy(shown.energy.astype(np.float64)), rtol=1e-12)
    assert axes.get_ylabel() == "spatial entropy (nats)"
    said = [text.get_text() for text in axes.texts] + [str(line.get_label()) for line in axes.lines]
    assert f"all cells alike: {np.log(256):.3f}" in said


def test_falls_of_the_entropy_are_marked_where_a_law_forbids_them() -> None:
    spiked = np.ones((3, 16, 16, 1), np.float32)
    spiked[2, 4, 4] = 50.0  # entropy falls into the last frame
    spiked[0, 4, 4] = 2.0
    shown = series(energy=spiked, context={}, source_total=None, outflow_total=None)
    marks = {line.get_label(): line for line in entropy_figure(shown, times(shown), CLOSED, title="").axes[0].lines}
    assert list(marks["fell in 1 steps"].get_xdata()) == [1.0]
    assert len(entropy_figure(shown, times(shown), OPEN, title="").axes[0].lines) < len(marks)


def test_spectrum_lines_are_the_spectra_of_evenly_spaced_frames() -> None:
    shown = series(frames=40, height=32, width=64)
    stamps = [stamp(time) for time in times(shown)]
    made = spectrum_figure(shown.energy[..., 0], stamps, OPEN, title="")
    axes = made.axes[0]
    assert len(axes.lines) == MOST
    assert [axes.lines[0].get_label(), axes.lines[-1].get_label()] == ["t = 0", "t = 19.5"]
    expected = radial_spectrum(shown.energy[[0, -1], ..., 0], boundary_x="open", boundary_y="periodic")
    for line, density in zip((axes.lines[0], axes.lines[-1]), expected.density, strict=True):
        np.testing.assert_allclose(line.get_ydata(), density[expected.wave_number <= 0.5], rtol=1e-12)
    assert axes.get_xlabel() == "wave number k (waves per cell)"
    assert axes.get_ylabel() == "variance per wave number (J² · cells)"
    made.canvas.draw()  # its axis of wavelengths too


def test_a_field_without_structure_can_be_drawn() -> None:
    spectrum_figure(np.ones((2, 16, 16)), ["a", "b"], CLOSED, title="").canvas.draw()


def test_calendar_times_are_dates() -> None:
    hours = np.datetime64("2019-03-01T00", "ns") + np.arange(12) * np.timedelta64(3600 * 10**9, "ns")
    shown = series(valid_time=hours)
    assert stamp(times(shown)[1]) == "2019-03-01 01:00"
    (axes,) = entropy_figure(shown, times(shown), OPEN, title="").axes
    assert axes.get_xlabel() == "time (UTC)"
    made = budget_figure(energy_budget(shown, OPEN), times(shown), title="")
    made.canvas.draw()
    assert stamp(times(series(first=4))[0]) == "t = 2"
