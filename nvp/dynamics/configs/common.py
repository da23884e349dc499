"""What the configurations of all simulators share: the grid, the frames, and the checks of their numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nvp.atlas.series import SIDE
from nvp.errors import FieldError

MAX_SIDE = 1024
MAX_CELLS = 1 << 28
"""Cells of a sequence's frames: 1 GiB in memory."""
MAX_FLOW_STEPS = 1_000_000
# cells of the frames and their context that are simulated side by side: bounds the memory of a batch
BATCH_CELLS = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationConfig:
    """Grid and frames of one sequence.

    Lengths are in grid units (the cell width is 1) and velocities in grid units per unit time, so that one time step
    moves the field equally far at every scale; a wider grid simply holds more eddies.
    """

    # cells along y and x; multiples of 8, at most MAX_SIDE
    height: int = 64
    width: int = 64
    # frames per sequence, at least 2
    steps: int = 30
    # time between frames
    dt: float = 1.0
    # time that the flow evolves alone, until it has forgotten how it was started
    warm_up: float = 0.0
    # largest time step of the flow solver
    flow_step: float = 0.1

    @property
    def shape(self) -> tuple[int, int]:
        """H, W."""
        return self.height, self.width

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            if not SIDE <= (side := getattr(self, name)) <= MAX_SIDE or side % SIDE:
                raise FieldError(
                    "BAD_CONFIG",
                    f"expected a scale that is a multiple of {SIDE} up to {MAX_SIDE}, got {name} {side}.",
                    next_step="Use 32, 64, 128 or 256.",
                )
        if self.steps < 2:
            raise FieldError("BAD_CONFIG", f"expected at least 2 steps, got {self.steps}.", next_step="Use 30.")
        cells = self.height * self.width
        if cells * self.steps > MAX_CELLS:
            raise FieldError(
                "BAD_CONFIG",
                f"expected at most {MAX_CELLS // cells} steps of {self.height}×{self.width}, got {self.steps}.",
                next_step="Make more sequences instead.",
            )
        require_positive(self, "dt", "flow_step")
        require_not_negative(self, "warm_up")
        if (flow_steps := (self.warm_up + self.dt * self.steps) / self.flow_step) > MAX_FLOW_STEPS:
            raise FieldError(
                "BAD_CONFIG",
                f"expected at most {MAX_FLOW_STEPS} steps of the flow solver, got {flow_steps:.3g}.",
                next_step="Use fewer steps, a smaller dt or a larger flow_step.",
            )


def require_positive(config: object, *names: str) -> None:
    """Refuse a setting that is not above 0 and finite."""
    for name in names:
        if not 0 < getattr(config, name) < math.inf:
            raise _out_of_range(f"{name} > 0 and finite", getattr(config, name))


def require_not_negative(config: object, *names: str) -> None:
    """Refuse a setting that is below 0 or infinite."""
    for name in names:
        if not 0 <= getattr(config, name) < math.inf:
            raise _out_of_range(f"{name} >= 0 and finite", getattr(config, name))


def require_ranges(config: object, *names: str) -> None:
    """Refuse a pair that is no range of numbers above 0, such as one to draw from log-uniformly."""
    for name in names:
        low, high = getattr(config, name)
        if not 0 < low <= high < math.inf:
            raise _out_of_range(f"0 < lowest <= highest {name}", f"{low} and {high}")


def _out_of_range(expected: str, got: object) -> FieldError:
    return FieldError("BAD_CONFIG", f"expected {expected}, got {got}.", next_step="Leave it out for the default.")
