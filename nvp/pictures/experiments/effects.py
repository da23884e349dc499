"""The effects of an experiment with their intervals, and the same quantity of each arm below each other."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nvp.coordinator.experiments.finding import Effect, Finding
from nvp.pictures.style import BLACK, BLUE, GRAY, SMALL, figure, quiet, titled

_ROW = 0.34
# letters of a label, beyond which it is broken
_WIDTH = 46
ROUNDING = 1e-3
"""Share of their size by which numbers must differ to be drawn apart."""


def rows_figure(
    panels: Sequence[tuple[str, Sequence[tuple[str, Effect]], bool]], *, title: str, subtitle: str
) -> Figure:
    """Panels below each other, each of rows (label, effect); a line at 0 where a panel asks for it."""
    heights = [len(rows) + 1.6 for _, rows, _ in panels]
    made = figure(7.2, 0.9 + _ROW * sum(heights))
    titled(made, title)
    made.text(0.12 / 7.2, 1 - 0.45 / made.get_figheight(), subtitle, fontsize=SMALL, va="center")
    grid = made.add_gridspec(
        len(panels),
        1,
        height_ratios=heights,
        left=0.42,
        right=0.97,
        top=1 - 0.95 / made.get_figheight(),
        bottom=0.4 / made.get_figheight(),
        hspace=0.5,
    )
    for place, (name, rows, compared) in enumerate(panels):
        axes = made.add_subplot(grid[place])
        _panel(axes, rows, compared=compared)
        axes.set_title(name, fontsize=SMALL, loc="left", x=-0.7, color=GRAY)
    return made


def finding_figure(found: Finding) -> Figure:
    """Effects above; below, a panel for each quantity that the arms measured."""
    quantities: dict[str, list[tuple[str, Effect]]] = {}
    for arm, effects in found.arms.items():
        for effect in effects:
            quantities.setdefault(effect.name, []).append((arm, effect))
    # effects of one quantity, `quantity: what with what`, share a panel: scales differ between quantities
    compared: dict[str, list[tuple[str, Effect]]] = {}
    for effect in found.effects:
        quantity, colon, what = effect.name.partition(": ")
        compared.setdefault(quantity if colon else "effects", []).append((what or quantity, effect))
    panels = [(name, rows, True) for name, rows in compared.items()]
    panels += [(name, rows, False) for name, rows in quantities.items()]
    title = "undecided" if found.verdict == "null" else found.verdict
    return rows_figure(panels, title=title, subtitle=found.hypothesis)


def _panel(axes: Axes, rows: Sequence[tuple[str, Effect]], *, compared: bool) -> None:
    if compared:
        axes.axvline(0, color=GRAY, linewidth=0.8)
    for place, (_, effect) in enumerate(rows):
        if effect.ci95 is not None:
            axes.plot(effect.ci95, (place, place), color=BLUE, linewidth=1.6)
        axes.plot(effect.estimate, place, "o", color=BLACK, markersize=4)
    axes.set_yticks(range(len(rows)), [fill(label, _WIDTH) for label, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    quiet(axes)
    axes.tick_params(axis="y", length=0)
    _readable(axes)


def _readable(axes: Axes) -> None:
    """Few numbers along x, and no difference drawn large that is but of rounding."""
    low, high = axes.get_xlim()
    least = ROUNDING * max(abs(low), abs(high))
    if high - low < least:
        middle = (low + high) / 2
        axes.set_xlim(middle - least / 2, middle + least / 2)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.ticklabel_format(axis="x", useOffset=False, scilimits=(-4, 5))
