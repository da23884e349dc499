"""ΔF90 counts the start, and is measured against one reference for all."""

from __future__ import annotations

from nvp.coordinator.trackers import delta_f90


def test_the_start_is_the_first_state() -> None:
    assert delta_f90([1.0, 0.5, 0.09, 0.0], 0.0) == 3
    assert delta_f90([1.0, 0.0], 0.0) == 2


def test_stopping_early_is_not_fast() -> None:
    assert delta_f90([1.0, 0.8, 0.79], 0.0) == -1
    assert delta_f90([1.0, 1.0], 1.0) == -1
