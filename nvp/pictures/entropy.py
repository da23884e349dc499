"""The picture of spatial entropy over time, below its limit ln(H·W); falls are marked where a law forbids them."""

from __future__ import annotations

from math import log

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.figure import Figure

from nvp.atlas.entropy import spatial_entropy
from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec
from nvp.errors import FieldError
from nvp.pictures.style import BLACK, GRAY, SMALL, TEXT, VERMILION, figure, legend, quiet, titled
from nvp.pictures.times import time_axis
from nvp.thermo.violations import second_law_violated


def entropies(series: Series, spec: DomainSpec) -> Float[np.ndarray, "t"]:
    """Spatial entropy of each frame in nats; raises `FieldError` for a signed field, which has none."""
    if spec.signed:
        raise FieldError(
            "NO_ENTROPY",
            f"expected an energy, got the signed field {spec.name!r}.",
            next_step="Plot its film strip or its spectrum.",
        )
    found: Float[np.ndarray, "t"] = spatial_entropy(series.energy.astype(np.float64))
    return found


def entropy_figure(series: Series, times: Shaped[np.ndarray, "t"], spec: DomainSpec, *, title: str) -> Figure:
    """One line; in a domain with a second law also the frames to which the entropy fell."""
    found = entropies(series, spec)
    limit = log(series.energy[0].size)
    made = figure(7.0, 3.2)
    titled(made, title)
    axes = made.add_axes((0.115, 0.165, 0.85, 0.69))
    axes.plot(times, found, color=BLACK, linewidth=1.8, label="spatial entropy")
    if spec.second_law:
        fell = np.flatnonzero(second_law_violated(series.energy[1:], series.energy[:-1])) + 1
        axes.plot(times[fell], found[fell], "o", color=VERMILION, markersize=5, label=f"fell in {len(fell)} steps")
    low, high = float(found.min()), float(found.max())
    room = max(high - low, 1e-3 * limit) * 0.12
    # the limit is drawn where it is near, and named where it is not
    if limit - high < 2 * (high - low):
        axes.axhline(limit, color=GRAY, linewidth=1.0, linestyle=":", label=f"all cells alike: {limit:.3f}")
        axes.set_ylim(low - room, limit + room)
    else:
        axes.set_ylim(low - room, high + room)
        axes.text(
            0.01, 0.96, f"all cells alike: {limit:.3f}", transform=axes.transAxes, va="top", fontsize=SMALL, color=GRAY
        )
    quiet(axes, y="spatial entropy (nats)")
    legend(axes, loc="lower right")
    time_axis(axes, times)
    axes.xaxis.label.set_fontsize(TEXT)
    return made
