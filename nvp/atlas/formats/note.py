"""The note in an exported file: what its arrays do not say, so that reading gives the very series that was written.

    {"format": "fieldgraph series 1", "domain": …, "units": …, "variable": …, "context": […], "parameters": {…},
     "dt": …, "first": …, "simulated": …}

`context` names the arrays that lie beside the field. Other readers may ignore the note: the arrays speak for
themselves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Shaped

from nvp.atlas.formats.imported import Imported, as_field
from nvp.atlas.series import Series
from nvp.atlas.time_axis import TimeAxis
from nvp.errors import FieldError

FORMAT = "fieldgraph series 1"
# where a file keeps it
KEY = "fieldgraph"
TOTALS = ("source_total", "outflow_total")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is said of one series."""

    domain: str
    units: str
    # name of the field among the arrays
    variable: str
    context: tuple[str, ...]
    parameters: Mapping[str, float]
    dt: float
    # absolute step of the first frame
    first: int
    # it came out of a simulator, so that no reader takes it for an observation
    simulated: bool = False

    def to_text(self) -> str:
        """As JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)


def note_of(series: Series, *, units: str, variable: str = "energy", simulated: bool = False) -> Note:
    """The note on a series, whose context may not have the field's own name."""
    return Note(
        domain=series.domain,
        units=units,
        variable=variable,
        context=tuple(sorted(series.context)),
        parameters={name: float(value) for name, value in sorted(series.parameters.items())},
        dt=float(series.dt),
        first=int(series.first),
        simulated=simulated,
    )


def parse_note(text: str, file: str) -> Note:
    """The note of this text; raises `FieldError` for any other text."""
    try:
        said = json.loads(text)
        if said.pop("format") != FORMAT:
            raise ValueError(f"another format than {FORMAT!r}")
        note = Note(
            domain=str(said.pop("domain")),
            units=str(said.pop("units")),
            variable=str(said.pop("variable")),
            context=tuple(map(str, said.pop("context"))),
            parameters={str(name): float(value) for name, value in said.pop("parameters").items()},
            dt=float(said.pop("dt")),
            first=int(said.pop("first")),
            simulated=said.pop("simulated", False),
        )
        if (
            said
            or not isinstance(note.simulated, bool)
            or not (note.dt > 0 and math.isfinite(note.dt))
            or abs(note.first) > 2**53
        ):
            raise ValueError("entries out of range")
        return note
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise FieldError(
            "BAD_NOTE",
            f"expected a note of an exported series in {file}, got {' '.join(text.split())[:60]!r}.",
            next_step="Export it again, or name a variable by --variable.",
        ) from error


def noted(
    note: Note,
    *,
    file: str,
    array: Callable[[str], Shaped[np.ndarray, "..."]],
    valid_time: Shaped[np.ndarray, "t"] | None,
    totals: Mapping[str, Shaped[np.ndarray, "t"]],
) -> Imported:
    """The series that was written; `array` gives each array by name, (t, y, x) or (t, y, x, c)."""
    arrays = {name: as_field(array(name)) for name in (note.variable, *note.context)}
    values = {name: found if found.ndim == 4 else found[..., None] for name, found in arrays.items()}
    field = values.pop(note.variable)
    T = len(field)
    beside = [found.shape[:3] for found in values.values()]
    times = [found.shape for found in (*totals.values(), *([] if valid_time is None else [valid_time]))]
    if field.ndim != 4 or any(shape != field.shape[:3] for shape in beside) or any(shape != (T,) for shape in times):
        raise FieldError(
            "BAD_SHAPE",
            f"expected all arrays of {file} on the grid and times of {note.variable!r} {field.shape}.",
            next_step="Export it again.",
        )
    return Imported(
        file=file,
        variable=note.variable,
        units=note.units,
        values=field,
        time=TimeAxis(note.dt, ((0, T, note.first),), valid_time),
        domain=note.domain,
        simulated=note.simulated,
        context=values,
        parameters=note.parameters,
        source_total=totals.get("source_total"),
        outflow_total=totals.get("outflow_total"),
    )
