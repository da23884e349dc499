"""The energy budget: what a sequence holds, what its source gave, what left through its edges, and what is left over.

ΣE_{t+1} = ΣE_t + Σ∫Q dt − net outflow: both terms as the simulator recorded them, added up from the first frame shown.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec
from nvp.errors import FieldError
from nvp.pictures.style import BLACK, BLUE, GRAY, ORANGE, SMALL, TEXT, VERMILION, figure, legend, quiet, titled
from nvp.pictures.times import time_axis
from nvp.thermo.conservation import first_law_residual

# below this the axis of the residuals is linear, so that 0 has a place on it
_LINEAR = 1e-9


class Budget(NamedTuple):
    """Totals over the grid; None where nobody recorded them."""

    # ΣE of each frame
    held: Float[np.ndarray, "t"]
    # since the first frame
    source: Float[np.ndarray, "t"] | None
    outflow: Float[np.ndarray, "t"] | None
    # |residual of the first law| of the step that leads to each frame but the first, relative to ΣE before it
    residual: Float[np.ndarray, "t_1"] | None


def energy_budget(series: Series, spec: DomainSpec) -> Budget:
    """Account for the energy of a series; in a closed domain nothing enters or leaves.

    Raises `FieldError` for a signed field, whose sum is no energy.
    """
    if spec.signed:
        raise FieldError(
            "NO_ENERGY",
            f"expected an energy, got the signed field {spec.name!r}.",
            next_step="Plot its film strip or its spectrum.",
        )
    held = series.energy.sum(axis=(1, 2, 3), dtype=np.float64)
    none = np.zeros(len(series))
    source = none if spec.closed and series.source_total is None else series.source_total
    outflow = none if spec.closed and series.outflow_total is None else series.outflow_total
    if source is None or outflow is None:
        return Budget(held, None, None, None)
    source, outflow = source.astype(np.float64), outflow.astype(np.float64)
    residual = np.abs(first_law_residual(series.energy[1:], series.energy[:-1], source=source[1:], outflow=outflow[1:]))
    # what led to the first frame happened before it
    return Budget(held, _since_first(source), _since_first(outflow), residual)


def budget_figure(budget: Budget, times: Shaped[np.ndarray, "t"], *, title: str) -> Figure:
    """ΣE beside what the first law expects; source and outflow, where there are any; the residual of each step."""
    known = budget.source is not None and budget.outflow is not None
    flows = known and bool(np.any(budget.source) or np.any(budget.outflow))
    panels = 1 + flows + known
    made = figure(7.0, 0.85 + 1.75 * panels)
    titled(made, title)
    grid = made.add_gridspec(
        panels,
        1,
        left=0.135,
        right=0.965,
        top=1 - 0.42 / made.get_figheight(),
        bottom=0.5 / made.get_figheight(),
        hspace=0.18,
    )
    stack = [made.add_subplot(grid[0])]
    stack += [made.add_subplot(grid[row], sharex=stack[0]) for row in range(1, panels)]

    axes = stack[0]
    axes.plot(times, budget.held, color=BLACK, linewidth=1.8, label="ΣE")
    if budget.source is not None and budget.outflow is not None:
        expected = budget.held[0] + budget.source - budget.outflow
        axes.plot(times, expected, color=ORANGE, linewidth=1.4, dashes=(4, 2), label="ΣE at first + source − outflow")
    _room(axes, budget.held)
    quiet(axes, y="energy on the grid")
    legend(axes, loc="best")
    if not known:
        axes.text(
            0.99, 0.04, "source and outflow were not recorded", transform=axes.transAxes, ha="right", fontsize=SMALL
        )
    if flows and budget.source is not None and budget.outflow is not None:
        axes = stack[1]
        axes.axhline(0, color=GRAY, linewidth=0.6)
        axes.plot(times, budget.source, color=VERMILION, linewidth=1.6, label="source Σ∫Q dt")
        axes.plot(times, budget.outflow, color=BLUE, linewidth=1.6, label="net outflow")
        quiet(axes, y="since the first frame")
        legend(axes, loc="best")
    if budget.residual is not None:
        axes = stack[-1]
        axes.plot(times[1:], budget.residual, ".", color=BLACK, markersize=4)
        axes.set_yscale("symlog", linthresh=_LINEAR)
        axes.set_ylim(-_LINEAR / 2, max(1e-5, float(np.nanmax(budget.residual, initial=0.0)) * 3))
        quiet(axes, y="first-law residual / ΣE")
    for axes in stack[:-1]:
        axes.tick_params(labelbottom=False)
    for axes in stack:
        if axes.get_yscale() == "linear":
            axes.yaxis.set_major_locator(MaxNLocator(5))
    time_axis(stack[-1], times)
    stack[-1].xaxis.label.set_fontsize(TEXT)
    made.align_ylabels(stack)
    return made


def _since_first(values: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
    since: Float[np.ndarray, "t"] = np.cumsum(values) - values[0]
    return since


def _room(axes: Axes, held: Float[np.ndarray, "t"]) -> None:
    """A total that is constant to round-off is drawn as a straight line, not as noise at full height."""
    middle, size = float(held.mean()), float(np.abs(held).max())
    if np.ptp(held) < 1e-3 * size:
        axes.set_ylim(middle - 1e-3 * size, middle + 1e-3 * size)
    axes.ticklabel_format(axis="y", useOffset=False)
