"""Effects are drawn with their intervals, maps with their axes."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.coordinator.experiments.finding import Effect, Finding
from nvp.pictures.experiments import effects, maps, percolation


def effect(name: str, estimate: float, ci95: tuple[float, float] | None) -> Effect:
    return Effect(name=name, estimate=estimate, ci95=ci95, n=3, interval="some")


def test_each_quantity_has_a_panel_and_each_effect_its_interval() -> None:
    found = Finding(
        hypothesis="It does.",
        verdict="null",
        reading="",
        effects=[
            effect("gain", 0.5, (-1.0, 2.0)),
            effect("exact", 3.0, None),
            effect("steps saved: one way", 30.0, (20.0, 40.0)),
        ],
        arms={"with": [effect("eta", 1.0, (0.5, 1.5))], "without": [effect("eta", 2.0, (1.5, 2.5))]},
    )
    made = effects.finding_figure(found)
    first, apart, second = made.axes
    # the line at 0, an interval, and two points
    assert [len(line.get_xdata()) for line in first.get_lines()] == [2, 2, 1, 1]  # type: ignore[arg-type]
    assert list(first.get_lines()[1].get_xdata()) == [-1.0, 2.0]  # type: ignore[arg-type]
    assert made.texts[0].get_text() == "undecided"
    # of another scale, in a panel of its own
    assert apart.get_title(loc="left") == "steps saved"
    assert [label.get_text() for label in apart.get_yticklabels()] == ["one way"]
    assert [label.get_text() for label in second.get_yticklabels()] == ["with", "without"]
    assert second.get_title(loc="left") == "eta"


def test_differences_of_rounding_are_not_drawn_large() -> None:
    found = Finding(hypothesis="", verdict="null", reading="", effects=[effect("gain", 0.5, None)])
    found.arms["with"] = [effect("eta", 1.0, (1 - 1e-12, 1.0)), effect("far", 1.0, (0.9, 1.1))]
    _, alike, apart = (axes.get_xlim() for axes in effects.finding_figure(found).axes)
    assert alike[1] - alike[0] == pytest.approx(effects.ROUNDING)
    assert 0.2 < apart[1] - apart[0] < 0.3


def test_maps_have_weights_upwards_and_costs_to_the_right() -> None:
    values = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    found = Finding(
        hypothesis="",
        verdict="null",
        reading="",
        effects=[effect("gain", 0.5, None)],
        curves={"weights": [0.25, 1.0], "costs": [0.0, 0.1, 0.2], "maps": {"fall of F": values}},
    )
    axes = maps.finding_figure(found).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.25", "1"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.1", "0.2"]
    (drawn,) = axes.get_images()
    np.testing.assert_array_equal(drawn.get_array(), values)  # type: ignore[arg-type]
    assert drawn.origin == "lower"


def test_thresholds_stand_below_the_lines_with_their_intervals() -> None:
    found = Finding(
        hypothesis="",
        verdict="null",
        reading="",
        effects=[effect("shift", 0.1, None)],
        arms={"nothing": [effect("p_c", 0.5, (0.45, 0.55))], "shortcuts": [effect("p_c", 0.4, None)]},
        curves={"p": [0.3, 0.7], "eta": {"nothing": [0.1, 0.9], "shortcuts": [0.2, 0.95]}},
    )
    axes = percolation.finding_figure(found).axes[0]
    drawn = [np.asarray(line.get_xdata()).tolist() for line in axes.get_lines()]
    assert drawn == [[0.3, 0.7], [0.45, 0.55], [0.5], [0.3, 0.7], [0.4]]
    below = [np.asarray(line.get_ydata()) for line in axes.get_lines() if len(np.asarray(line.get_xdata())) == 1]
    assert 0 < below[1][0] < below[0][0] < 0.15
    assert [text.get_text() for text in axes.texts] == ["threshold p_c and its 95 % interval"]
