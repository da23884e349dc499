"""The energy budget of a relaxation: what each term of F has, or how hard it pulls, from step to step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nvp.errors import FieldError
from nvp.pictures.style import BLACK, GRAY, LATEST, SMALL, TEXT, TIMES, figure, legend, quiet, titled

Metric = Literal["energy", "gradient", "share"]
METRICS: dict[Metric, str] = {
    "energy": "energy of each term",
    "gradient": "gradient norm of each term",
    "share": "share of all gradient norms",
}
# so many lines can be told apart by their names
_NAMED = 10


def smoothed(values: Float[np.ndarray, "s t"], window: int) -> Float[np.ndarray, "s t"]:
    """Moving mean over the last `window` rows; the first rows have fewer."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - window, 0)
    mean: Float[np.ndarray, "s t"] = (sums[last] - sums[first]) / (last - first)[:, None]
    return mean


def budget_of(
    energies: Float[np.ndarray, "s t"], norms: Float[np.ndarray, "s t"], metric: Metric
) -> Float[np.ndarray, "s t"]:
    """The metric's rows; a share is 0 where nothing pulls."""
    if metric == "energy":
        return energies
    if metric == "gradient":
        return norms
    total = norms.sum(axis=1, keepdims=True)
    share: Float[np.ndarray, "s t"] = np.divide(norms, total, out=np.zeros_like(norms), where=total > 0)
    return share


def term_budget_figure(
    index: Int[np.ndarray, "s"],
    energy: Float[np.ndarray, "s"],
    values: Float[np.ndarray, "s t"],
    *,
    names: Sequence[str],
    metric: Metric,
    smooth: int,
    title: str,
) -> Figure:
    """One line for each term; where it is energies, F beside them."""
    if smooth < 1:
        raise FieldError("BAD_OPTIONS", f"expected --smooth >= 1, got {smooth}.", next_step="1 draws it as it is.")
    made = figure(7.2, 4.2)
    titled(made, title)
    axes = made.add_axes((0.12, 0.13, 0.84, 0.76))
    axes.axhline(0, color=GRAY, linewidth=0.6)
    shown = smoothed(values, smooth)
    shades = colormaps[TIMES](np.linspace(0, LATEST, values.shape[1]))
    # the first are the widest, so that none is hidden by another that lies on it
    widths = np.linspace(3.0, 1.2, len(names)) if len(names) <= _NAMED else np.full(len(names), 1.4)
    for number, (shade, width) in enumerate(zip(shades, widths, strict=True)):
        name = names[number] if len(names) <= _NAMED else None
        axes.plot(index, shown[:, number], color=shade, linewidth=width, label=name)
    if metric == "energy":
        axes.plot(index, smoothed(energy[:, None], smooth)[:, 0], color=BLACK, linewidth=1.8, dashes=(4, 2), label="F")
    quiet(axes, x="step", y=METRICS[metric] + (f", mean of {smooth} steps" if smooth > 1 else ""))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(names) <= _NAMED:
        legend(axes, loc="best", ncols=2)
    else:
        axes.text(0.99, 0.95, f"{len(names)} terms", transform=axes.transAxes, va="top", ha="right", fontsize=SMALL)
    axes.yaxis.label.set_fontsize(TEXT)
    return made
