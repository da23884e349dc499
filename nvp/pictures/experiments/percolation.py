"""The largest component over the share of bonds kept, with what was added."""

from __future__ import annotations

from matplotlib.figure import Figure

from nvp.coordinator.experiments.finding import Finding
from nvp.pictures.style import BLACK, BLUE, GREEN, ORANGE, SMALL, figure, legend, quiet, titled


def finding_figure(found: Finding) -> Figure:
    """One line for each arm, its threshold marked below with its interval."""
    made = figure(6.6, 4.2)
    titled(made, "Percolation with edges added")
    axes = made.add_axes((0.1, 0.13, 0.87, 0.77))
    arms = found.curves["eta"].items()
    for row, (colour, (name, eta)) in enumerate(zip((BLACK, BLUE, ORANGE, GREEN), arms, strict=False)):
        axes.plot(found.curves["p"], eta, color=colour, linewidth=1.5, label=name)
        (threshold,) = found.arms[name]
        height = 0.14 - 0.035 * row
        if threshold.ci95 is not None:
            axes.plot(threshold.ci95, (height, height), color=colour, linewidth=1.5)
        axes.plot(threshold.estimate, height, "o", color=colour, markersize=4)
    axes.text(0.015, 0.19, "threshold p_c and its 95 % interval", transform=axes.transAxes, fontsize=SMALL)
    quiet(axes, x="share p of the bonds kept", y="η: share of nodes in the largest component")
    axes.set_ylim(0, 1)
    legend(axes, loc="upper left")
    return made
