"""Shares add up to one, and smoothing is a mean over the steps before."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.errors import FieldError
from nvp.pictures.term_budget import budget_of, smoothed, term_budget_figure


def test_smoothing_is_a_mean_over_the_last_rows() -> None:
    values = np.array([[1.0], [2.0], [6.0], [1.0]])
    assert smoothed(values, 1)[:, 0].tolist() == [1, 2, 6, 1]
    assert smoothed(values, 3)[:, 0].tolist() == [1, 1.5, 3, 3]


def test_shares_add_up_to_one_where_anything_pulls() -> None:
    energies, norms = np.array([[1.0, -2.0], [0.0, 0.0]]), np.array([[3.0, 1.0], [0.0, 0.0]])
    assert budget_of(energies, norms, "energy") is energies
    assert budget_of(energies, norms, "gradient") is norms
    assert budget_of(energies, norms, "share").tolist() == [[0.75, 0.25], [0, 0]]


def test_each_term_has_a_line_and_f_stands_beside_energies() -> None:
    def drawn(metric: str, smooth: int = 1) -> list[str]:
        made = term_budget_figure(
            np.array([0, 1]),
            np.array([1.0, 0.5]),
            np.array([[1.0, 0.0], [0.25, 0.25]]),
            names=["one", "two"],
            metric=metric,  # type: ignore[arg-type]
            smooth=smooth,
            title="t",
        )
        return [str(line.get_label()) for line in made.axes[0].get_lines()[1:]]

    assert drawn("energy") == ["one", "two", "F"]
    assert drawn("share") == ["one", "two"]
    with pytest.raises(FieldError, match="smooth"):
        drawn("energy", 0)
