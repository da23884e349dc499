"""Random gates for whom opening pays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDraw:
    """A gate aη² + bη⁴ + cost·η whose benefit has jumped to `delta`, and where its domain rests."""

    a: float
    b: float
    cost: float
    delta: float
    domain: float


def draw_gate(rng: np.random.Generator) -> GateDraw:
    """Its benefit is more than its cost, so that it opens."""
    a, b, cost, more, domain = rng.uniform([0.1, 0.1, 0.0, 0.1, 0.2], [0.3, 0.3, 0.1, 0.6, 0.8]).tolist()
    return GateDraw(a=a, b=b, cost=cost, delta=cost + more, domain=domain)
