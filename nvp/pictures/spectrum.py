"""The picture of the radial spectrum as it changes in time: one line per frame, early to late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from nvp.dynamics.domain import DomainSpec
from nvp.pictures.style import LATEST, SMALL, TEXT, TIMES, figure, legend, quiet, titled
from nvp.thermo.radial import radial_spectrum

# lines that can be told apart
MOST = 8
# decades below the largest density that are shown: round-off of float32 is no structure
_DECADES = 9


def spectrum_figure(
    fields: Float[np.ndarray, "t h w"], stamps: Sequence[str], spec: DomainSpec, *, title: str
) -> Figure:
    """Variance per wave number of at most `MOST` frames, evenly spaced; the wavelength in cells on top."""
    chosen = np.unique(np.linspace(0, len(fields) - 1, min(MOST, len(fields))).round().astype(int))
    found = radial_spectrum(fields[chosen], boundary_x=spec.boundary_x, boundary_y=spec.boundary_y)
    seen = found.wave_number <= 0.5
    made = figure(7.0, 4.6)
    titled(made, title)
    axes = made.add_axes((0.115, 0.13, 0.80, 0.68))
    colours = colormaps[TIMES](np.linspace(0, LATEST, len(chosen)))
    for density, colour, frame in zip(found.density, colours, chosen, strict=True):
        # an empty shell has no logarithm: its line has a gap
        line = np.where(density > 0, density, np.nan)[seen]
        axes.plot(found.wave_number[seen], line, color=colour, linewidth=1.6, label=stamps[frame])
    axes.set_xscale("log")
    largest = float(found.density[:, seen].max(initial=0.0))
    if largest == 0:
        axes.text(0.5, 0.5, "all cells alike: no structure", transform=axes.transAxes, ha="center", fontsize=TEXT)
    else:
        axes.set_yscale("log")
        least = float(found.density[:, seen].min())
        axes.set_ylim(max(least, largest * 10.0**-_DECADES) / 2, largest * 2)
    axes.set_xlim(found.wave_number[0] * 0.95, 0.5 * 1.05)
    quiet(axes, x="wave number k (waves per cell)", y=_density(spec.units))
    axes.set_xticks([tick for tick in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if tick >= found.wave_number[0] * 0.95])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    top = axes.secondary_xaxis("top", functions=(_inverse, _inverse))
    top.set_xlabel("wavelength (cells)", fontsize=TEXT)
    top.tick_params(labelsize=SMALL, width=0.6, length=3)
    sides = [2, 4, 8, 16, 32, 64, 128, 256, 512]
    top.set_xticks([side for side in sides if 1 / side >= found.wave_number[0] * 0.95], minor=False)
    top.xaxis.set_major_formatter("{x:.0f}")
    top.xaxis.set_minor_locator(NullLocator())
    legend(axes, loc="lower left")
    return made


def _density(units: str) -> str:
    squared = "" if units in ("", "1") else f"{units}² · "
    return f"variance per wave number ({squared}cells)"


def _inverse(values: Any) -> Any:
    """From wave number to wavelength and back; matplotlib also asks for 0."""
    return 1 / np.maximum(np.asarray(values, dtype=np.float64), 1e-12)
