"""Rising sequences with a dip, and repairs of it that are to be had: half of them help, half of them harm.

A repair is judged on two looks at the same sequence, each with noise of its own: what it promises is counted on the
first, what it brings on the second. η is the exact share of ordered pairs (`sequence_order`), so that no sampling
error passes for a gain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from nvp.coordinator.measures import sequence_order

Values = Float[np.ndarray, "n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One sequence and one repair that is to be had."""

    # whether it is meant for the dip
    apt: bool
    # η before, and what the repair adds to it, on the first look
    before: float
    promised: float
    # the same on the second
    true_before: float
    realised: float

    @property
    def promised_share(self) -> float:
        """The share of the disorder, 1 − η, that the repair promises to remove."""
        return self.promised / (1 - self.before) if self.before < 1 else 0.0


def with_dip(length: int, position: int, depth: float) -> Values:
    """From 0 to 1 in equal steps, but for one value that lies `depth` too low."""
    values: Values = np.linspace(0.0, 1.0, length)
    values[position] -= depth
    return values


def draw_repair(rng: np.random.Generator, *, length: int, depth: float, noise: float) -> Repair:
    """A dip of random depth at a random place of the upper three quarters, and a repair that fits or does not.

    One that fits puts the mean of both neighbours into the dip. One that does not lowers a sound value by as much as
    the dip is deep.
    """
    dip, sound = rng.choice(np.arange(length // 4, length - 1), 2, replace=False)
    low = rng.uniform(0.0, depth)
    clean = with_dip(length, int(dip), low)
    apt = bool(rng.random() < 0.5)
    looks = []
    for _ in range(2):
        seen = clean + noise * rng.standard_normal(length)
        repaired = seen.copy()
        if apt:
            repaired[dip] = (seen[dip - 1] + seen[dip + 1]) / 2
        else:
            repaired[sound] -= low
        before = sequence_order(seen)
        looks.append((before, sequence_order(repaired) - before))
    (before, promised), (true_before, realised) = looks
    return Repair(apt=apt, before=before, promised=promised, true_before=true_before, realised=realised)


def draw_repairs(seed: int, count: int, *, length: int, depth: float, noise: float) -> list[Repair]:
    """One for each of `count` rng seeds."""
    return [
        draw_repair(np.random.default_rng((seed, trial)), length=length, depth=depth, noise=noise)
        for trial in range(count)
    ]
