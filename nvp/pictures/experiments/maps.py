"""Maps over coupling weight and gate cost: fall of F, hazard, openings per benefit, distance from the local state."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from nvp.coordinator.experiments.finding import Finding
from nvp.pictures.style import BESIDE, SMALL, TEXT, figure, titled


def finding_figure(found: Finding) -> Figure:
    """Four panels; weights upwards, costs to the right, both as they were given."""
    made = figure(8.6, 6.8)
    titled(made, "Gates in a ring")
    curves = found.curves
    grid = made.add_gridspec(2, 2, left=0.08, right=0.96, top=0.89, bottom=0.08, hspace=0.34, wspace=0.36)
    for place, (name, values) in enumerate(curves["maps"].items()):
        axes = made.add_subplot(grid[place])
        drawn = axes.imshow(np.array(values), origin="lower", aspect="auto", cmap=BESIDE)
        axes.set_title(name, fontsize=TEXT, loc="left")
        axes.set_xticks(range(len(curves["costs"])), [f"{each:g}" for each in curves["costs"]])
        axes.set_yticks(range(len(curves["weights"])), [f"{each:g}" for each in curves["weights"]])
        axes.tick_params(labelsize=SMALL, length=2)
        axes.set_xlabel("cost of a gate", fontsize=SMALL)
        axes.set_ylabel("coupling weight", fontsize=SMALL)
        made.colorbar(drawn, ax=axes, fraction=0.046, pad=0.03).ax.tick_params(labelsize=SMALL)
    return made
