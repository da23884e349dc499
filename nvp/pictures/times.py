"""When each frame was: stamps for pictures, values and a label for time axes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Shaped
from matplotlib.axes import Axes

from nvp.atlas.series import Series


def times(series: Series) -> Shaped[np.ndarray, "t"]:
    """Calendar time where the series has one, else t_index · dt in the domain's unit of time."""
    if series.valid_time is not None:
        return series.valid_time.astype("datetime64[ms]")
    return (series.first + np.arange(len(series))) * series.dt


def stamp(time: np.generic) -> str:
    """One time for people: `2019-03-25 06:00` (UTC) or `t = 12.6`."""
    if isinstance(time, np.datetime64):
        return str(time.astype("datetime64[m]")).replace("T", " ")
    return f"t = {float(time):g}"


def time_axis(axes: Axes, values: Shaped[np.ndarray, "t"]) -> None:
    """Label the horizontal axis; dates are written as short as they can be."""
    if values.dtype.kind != "M":
        axes.set_xlabel("t (domain time units)")
        return
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_xlabel("time (UTC)")
