"""What is read off a trail of energies."""

from __future__ import annotations

from typing import Any

import numpy as np


def delta_f90(energies: Any, reference: float) -> int:
    """How many states, the start counted as the first, until 90 % of the possible drop is done; −1 where it is never.

    `energies` are F of the start and after each accepted step, under one objective; the possible drop is to
    `reference`, the least F that any of the compared solvers found. Measured against its own end, a solver that stops
    early looks fast.
    """
    trail = np.asarray(energies, np.float64)
    reached = np.flatnonzero(trail <= trail[0] - 0.9 * (trail[0] - reference))
    return int(reached[0]) + 1 if reached.size and reference < trail[0] else -1
