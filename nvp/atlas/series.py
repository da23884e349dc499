"""A series: one evolution of a field on a uniform grid in space and time, with what is known beside it.

Everything that the numerics read or write passes through this type: importers and simulators make it, the array
store keeps it, training and evaluation take windows of it. It knows nothing of files or of the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Shaped

from nvp.errors import FieldError

# height and width are multiples of it: the network halves them three times
SIDE = 8

# parameter: the error (sum of squares over the cells, mean over the steps) that no prediction of the next frame avoids.
# It is known of the whole sequence afterwards: scores may use it, a predictor is never told it.
IRREDUCIBLE = "irreducible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """E_t for t = 0 … T-1, equally spaced by `dt`, without gaps."""

    # the field; C = 1 and >= 0 where it is an energy
    energy: Float[np.ndarray, "t h w c"]
    # fields known at time t, by name: velocity (C = 2, order x, y; grid units per unit time), source Q (C = 1), …
    context: Mapping[str, Float[np.ndarray, "t h w _"]] = field(default_factory=dict)
    # numbers known for the whole series, by name: viscosity, diffusivity, …
    parameters: Mapping[str, float] = field(default_factory=dict)
    # time step in the domain's unit of time
    dt: float
    # t_index of the first frame
    first: int = 0
    # calendar time of each frame, where the series has one
    valid_time: Shaped[np.ndarray, "t"] | None = None
    # ∑∫Q dt and net outflow over the step that leads to each frame (0 for the first), where a simulator recorded them
    source_total: Float[np.ndarray, "t"] | None = None
    outflow_total: Float[np.ndarray, "t"] | None = None
    # name of the domain and identity of the sequence in the graph ("" outside one)
    domain: str
    uid: str = ""

    def __len__(self) -> int:
        return len(self.energy)

    def part(self, start: int, stop: int) -> Series:
        """Frames start … stop-1, counted from this series' own first frame."""
        cut = slice(start, stop)
        return Series(
            energy=self.energy[cut],
            context={name: values[cut] for name, values in self.context.items()},
            parameters=self.parameters,
            dt=self.dt,
            first=self.first + start,
            valid_time=None if self.valid_time is None else self.valid_time[cut],
            source_total=None if self.source_total is None else self.source_total[cut],
            outflow_total=None if self.outflow_total is None else self.outflow_total[cut],
            domain=self.domain,
            uid=self.uid,
        )


def join(parts: Sequence[Series]) -> Series:
    """One series out of consecutive ones, such as the segments of a sequence in order.

    Raises `FieldError` where a part does not begin where the one before it ends, or has another grid, step or context.
    """
    head = parts[0]
    expected = head.first
    for part in parts:
        same = (part.energy.shape[1:], part.dt, part.domain, sorted(part.context), part.valid_time is None) == (
            head.energy.shape[1:],
            head.dt,
            head.domain,
            sorted(head.context),
            head.valid_time is None,
        )
        if not same or part.first != expected:
            raise FieldError(
                "NOT_CONSECUTIVE",
                f"expected a part that begins at t_index {expected} on the same grid, step and context, got one that "
                f"begins at {part.first}.",
                next_step="Order the segments by their first frame.",
            )
        expected += len(part)
    if len(parts) == 1:
        return head
    return replace(
        head,
        energy=np.concatenate([part.energy for part in parts]),
        context={name: np.concatenate([part.context[name] for part in parts]) for name in head.context},
        valid_time=_joined([part.valid_time for part in parts]),
        source_total=_joined([part.source_total for part in parts]),
        outflow_total=_joined([part.outflow_total for part in parts]),
    )


def _joined(parts: list[np.ndarray | None]) -> np.ndarray | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None
