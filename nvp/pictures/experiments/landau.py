"""Landau wells over η, and where they order: relaxed, by the formula, and after plain steps."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from nvp.coordinator.experiments.finding import Finding
from nvp.pictures.style import BLACK, BLUE, LATEST, ORANGE, TIMES, figure, legend, quiet, titled


def finding_figure(found: Finding) -> Figure:
    """Left the wells, right the order parameter over a."""
    made = figure(8.4, 3.9)
    titled(made, "Landau wells aη² + bη⁴")
    grid = made.add_gridspec(1, 2, left=0.08, right=0.98, top=0.87, bottom=0.13, wspace=0.24)
    curves = found.curves
    axes = made.add_subplot(grid[0])
    wells = curves["wells"]
    for shade, a, energy in zip(
        colormaps[TIMES](np.linspace(0, LATEST, len(wells["a"]))), wells["a"], wells["energy"], strict=True
    ):
        axes.plot(wells["eta"], energy, color=shade, linewidth=1.4, label=f"a = {a:g}")
    quiet(axes, x="η", y="F(η)")
    legend(axes, loc="upper center")
    axes = made.add_subplot(grid[1])
    axes.plot(curves["a"], curves["exact"], color=BLACK, linewidth=1.2, label="√(−a/2b)")
    axes.plot(curves["a"], curves["relaxed"], "o", color=BLUE, markersize=4, label="relaxed")
    axes.plot(curves["a"], curves["plain"], "x", color=ORANGE, markersize=4, label="200 plain steps")
    quiet(axes, x="a", y="η*")
    legend(axes, loc="upper right")
    return made
