"""The largest component over the share of bonds kept, with what was added."""

from __future__ import annotations

from matplotlib.figure import Figure

from nvp.coordinator.experiments.finding import Finding
from nvp.pictures.style import BLACK, BLUE, GREEN, ORANGE, figure, legend, quiet, titled


def finding_figure(found: Finding) -> Figure:
    """One line for each arm, its threshold marked below with its interval."""
    made = figure(6.6, 4.2)
    titled(made, "Percolation with edges added")
    axes = made.add_axes((0.1, 0.13, 0.87, 0.77))
    for colour, (name, eta) in zip((BLACK, BLUE, ORANGE, GREEN), found.curves["eta"].items(), strict=False):
        axes.plot(found.curves["p"], eta, color=colour, linewidth=1.5, label=name)
        (threshold,) = found.arms[name]
        if threshold.ci95 is not None:
            axes.axvspan(*threshold.ci95, color=colour, alpha=0.25, linewidth=0)
    quiet(axes, x="share p of the bonds kept", y="η: share of nodes in the largest component")
    axes.set_ylim(0, 1)
    legend(axes, loc="lower right")
    return made
