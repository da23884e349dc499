"""What an importer hands over: one variable of one file, as it is there, on the axes (t, y, x, c), and what the file
says beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32

from nvp.atlas.series import Series
from nvp.atlas.time_axis import TimeAxis
from nvp.errors import FieldError


@dataclass(frozen=True, slots=True)
class Spacing:
    """Distances between neighbouring cells; negative where a coordinate falls along its axis."""

    # of columns, one for all rows or one for each (on a sphere); of rows
    dx: Float[np.ndarray, "h"] | float
    dy: float
    # they are metres; else whatever the file counts lengths in
    metres: bool = False


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
    # the variables that a recipe formed it from, with their units
    formed_from: Mapping[str, str] = field(default_factory=dict)
    # the kind of field, where the file says it
    domain: str | None = None
    # it says that it came out of a simulator of ours
    simulated: bool = False
    # what the file says of the grid and of its edges along x and y
    spacing: Spacing | None = None
    boundaries: tuple[str, str] | None = None
    # as in `Series`
    context: Mapping[str, Float32[np.ndarray, "t h w _"]] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)
    source_total: Float[np.ndarray, "t"] | None = None
    outflow_total: Float[np.ndarray, "t"] | None = None

    def series(self, *, domain: str) -> tuple[Series, ...]:
        """One series per stretch without gaps, in order of time; `first` is its absolute step."""
        whole = Series(
            energy=self.values,
            context=self.context,
            parameters=self.parameters,
            dt=self.time.dt,
            domain=domain,
            valid_time=self.time.valid_time,
            source_total=self.source_total,
            outflow_total=self.outflow_total,
        )
        return tuple(replace(whole.part(start, stop), first=place) for start, stop, place in self.time.stretches)


@runtime_checkable
class Source(Protocol):
    """An open file, or one trajectory of it."""

    @property
    def file(self) -> str:
        """Its name for messages."""
        ...

    def present(self) -> list[str]:
        """Every variable that can be named."""
        ...

    def candidates(self) -> list[str]:
        """Those that could be the field where none is named."""
        ...

    def read(self, name: str) -> Imported:
        """A variable, with what the file says beside it."""
        ...


def choose(variable: str | None, present: list[str], file: str, option: str = "--variable") -> str:
    """The variable to read: the one asked for, or the only one there is."""
    listed = ", ".join(sorted(present)) or "none"
    if variable is None:
        if len(present) != 1:
            raise FieldError(
                "NO_VARIABLE",
                f"expected the name of a variable of {file}, which has {listed}.",
                next_step=f"Give one by {option}.",
            )
        return present[0]
    # a path within a file may begin with "/" or not
    spelled = [name for name in (variable, f"/{variable}", variable.lstrip("/")) if name in present]
    if not spelled:
        raise FieldError(
            "NO_VARIABLE",
            f"expected a variable of {file} ({listed}), got {variable!r}.",
            next_step=f"Give one of them by {option}.",
        )
    return spelled[0]


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside means that the file cannot be read: formats' libraries raise what they raise."""
    try:
        yield
    except FieldError:
        raise
    except Exception as error:
        raise FieldError(
            "FILE_DAMAGED",
            f"cannot read {path}: {' '.join(str(error).split())[:300] or type(error).__name__}.",
            next_step="Is it complete? Copy it again.",
        ) from error


def as_field(values: np.ndarray) -> Float32[np.ndarray, "..."]:
    """float32 in C order; a number beyond float32 becomes infinite, which the checks report with its index."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, dtype=np.float32)
