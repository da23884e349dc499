"""A relaxation: how the free energy fell, which terms had it, and where the order parameters went."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nvp.pictures.style import BLACK, LATEST, SMALL, TEXT, TIMES, VERMILION, figure, legend, quiet, titled

# so many lines can be told apart by their names
_NAMED = 8


def relaxation_figure(
    index: Int[np.ndarray, "s"],
    energy: Float[np.ndarray, "s"],
    accepted: Bool[np.ndarray, "s"],
    terms: Float[np.ndarray, "s t"],
    eta: Float[np.ndarray, "s n"],
    *,
    term_names: Sequence[str],
    keys: Sequence[str],
    title: str,
) -> Figure:
    """Three panels over the kept steps: F with the refused steps marked, the energy of each term, η of each module."""
    made = figure(7.0, 6.6)
    titled(made, title)
    panels = made.add_gridspec(3, 1, left=0.125, right=0.965, top=0.935, bottom=0.075, hspace=0.2)
    top = made.add_subplot(panels[0])
    top.plot(index, energy, color=BLACK, linewidth=1.8, label="F")
    if not accepted.all():
        refused = ~accepted
        top.plot(index[refused], energy[refused], "x", color=VERMILION, markersize=5, label="refused")
        legend(top, loc="upper right")
    quiet(top, y="free energy F")
    for place, values, names, label in (
        (1, terms, term_names, "energy of terms"),
        (2, eta, keys, "order parameters η"),
    ):
        axes = made.add_subplot(panels[place], sharex=top)
        shades = colormaps[TIMES](np.linspace(0, LATEST, values.shape[1]))
        # the first are the widest, so that none is hidden by another that lies on it
        widths = np.linspace(3.0, 1.2, len(names)) if len(names) <= _NAMED else np.full(len(names), 1.2)
        for number, (shade, width) in enumerate(zip(shades, widths, strict=True)):
            name = names[number] if len(names) <= _NAMED else None
            axes.plot(index, values[:, number], color=shade, linewidth=width, alpha=1.0 if name else 0.6, label=name)
        quiet(axes, y=label)
        if len(names) <= _NAMED:
            legend(axes, loc="best", ncols=2)
        else:
            axes.text(0.99, 0.95, f"{len(names)} lines", transform=axes.transAxes, va="top", ha="right", fontsize=SMALL)
        if place == 2:
            axes.set_ylim(-0.03, 1.03)
            axes.set_xlabel("step", fontsize=TEXT)
    for axes in made.axes[:-1]:
        axes.tick_params(labelbottom=False)
    made.axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return made
