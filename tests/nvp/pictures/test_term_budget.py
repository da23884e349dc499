"""Shares add up to one, and smoothing is a mean over the steps before."""

from __future__ import annotations

import numpy as np
import pytest

from nvp.errors import FieldError
from nvp.pictures.relaxation import relaxation_figure
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


def test_no_line_is_hidden_by_another_that_lies_on_it() -> None:
    index, same = np.array([0, 1]), np.full((2, 3), 0.5)
    names = ["one", "two", "three"]
    budget = term_budget_figure(index, same[:, 0], same, names=names, metric="share", smooth=1, title="t")
    trail = relaxation_figure(
        index, same[:, 0], np.array([True, True]), same, same, term_names=names, keys=names, title="t"
    )
    for axes in (budget.axes[0], *trail.axes[1:]):
        widths = [line.get_linewidth() for line in axes.get_lines() if str(line.get_label()) in names]
        assert len(widths) == 3
        assert widths == sorted(set(widths), reverse=True)
