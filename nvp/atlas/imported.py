"""What an importer hands over: one variable of one file, as it is there, on the axes (t, y, x, c)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from nvp.atlas.series import Series
from nvp.atlas.time_axis import TimeAxis
from nvp.errors import FieldError


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One variable of one file, as it is there."""

    # name for messages: the file's own name without its folder
    file: str
    variable: str
    # as declared in the file, "" where it declares none
    units: str
    values: Float32[np.ndarray, "t h w c"]
    time: TimeAxis

    def series(self, *, domain: str) -> tuple[Series, ...]:
        """One series per stretch without gaps, in order of time; `first` is its absolute step."""
        times = self.time.valid_time
        return tuple(
            Series(
                energy=self.values[start:stop],
                dt=self.time.dt,
                first=place,
                domain=domain,
                valid_time=None if times is None else times[start:stop],
            )
            for start, stop, place in self.time.stretches
        )


def choose(variable: str | None, present: list[str], file: str) -> str:
    """The variable to read: the one asked for, or the only one there is."""
    listed = ", ".join(sorted(present)) or "none"
    if variable is None:
        if len(present) != 1:
            raise FieldError(
                "NO_VARIABLE",
                f"expected the name of a variable of {file}, which has {listed}.",
                next_step="Give one by --variable.",
            )
        return present[0]
    if variable not in present:
        raise FieldError(
            "NO_VARIABLE",
            f"expected a variable of {file} ({listed}), got {variable!r}.",
            next_step="Give one of them by --variable.",
        )
    return variable
