"""How all pictures look: sizes, colours that survive colour blindness and gray printing, quiet axes.

Figures are objects on an Agg canvas; pyplot and its global state are never touched, so that any thread may draw.

Line colours: Okabe & Ito, Color universal design (2008). Field colours: matplotlib's perceptually uniform
`inferno` (`viridis` for context), and `RdBu_r` centred on 0 for what has two signs.
"""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

SEQUENTIAL = "inferno"
# of what lies beside the field
BESIDE = "viridis"
DIVERGING = "RdBu_r"
# colours of lines over time, early to late; its bright end is left out, for it vanishes on white
TIMES = "viridis"
LATEST = 0.9

BLACK, BLUE, VERMILION, GREEN, ORANGE = "#000000", "#0072B2", "#D55E00", "#009E73", "#E69F00"
GRAY = "#666666"

DPI = 150
TITLE, TEXT, SMALL = 11.0, 9.0, 8.0


def figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, with the canvas that draws it."""
    made = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(made)
    return made


def titled(made: Figure, title: str, *, inches: float = 0.22) -> None:
    """A title at the left of the top, its baseline `inches` below the edge."""
    made.text(
        0.12 / made.get_figwidth(), 1 - inches / made.get_figheight(), title, fontsize=TITLE, va="center", weight="bold"
    )


def quiet(axes: Axes, *, x: str = "", y: str = "") -> None:
    """Small ticks, thin frame without its top and right, a faint grid behind the lines."""
    axes.tick_params(labelsize=SMALL, width=0.6, length=3)
    for side, spine in axes.spines.items():
        spine.set_linewidth(0.6)
        spine.set_visible(side in ("left", "bottom"))
    axes.grid(visible=True, color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel(x, fontsize=TEXT)
    axes.set_ylabel(y, fontsize=TEXT)


def legend(axes: Axes, **options: Any) -> None:
    """The names of the lines, without a box."""
    axes.legend(fontsize=SMALL, frameon=False, **options)


def with_units(name: str, units: str) -> str:
    """`name (units)`, or the name alone where the number has no unit."""
    return name if units in ("", "1") else f"{name} ({units})"
