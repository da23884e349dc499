"""Where things stand on a figure, in inches, so that a picture keeps the shape of its field at every size."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def placed(made: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """New axes at this place."""
    across, up = made.get_size_inches()
    return made.add_axes((left / across, bottom / up, width / across, height / up))
