"""Fields for pictures, of which everything is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec, domain

CLOSED = domain("fluid_dynamics")
OPEN = DomainSpec(
    name="pictured",
    title="An open domain",
    closed=False,
    second_law=False,
    boundary_x="open",
    boundary_y="periodic",
    units="J",
    dx=1.0,
    dy=1.0,
    dt=1.0,
    source_model="heating",
)
SIGNED = replace(OPEN, name="pictured_signed", signed=True, units="K")


def series(*, frames: int = 12, height: int = 16, width: int = 16, seed: int = 0, **more: object) -> Series:
    """Positive noise whose total grows by what its source gives less what leaves."""
    rng = np.random.default_rng(seed)
    energy = rng.uniform(1.0, 2.0, (frames, height, width, 1))
    source, outflow = rng.uniform(3.0, 4.0, frames), rng.uniform(-2.0, 2.0, frames)
    totals = 30.0 * height + np.concatenate([[0.0], np.cumsum((source - outflow)[1:])])
    energy *= (totals / energy.sum(axis=(1, 2, 3)))[:, None, None, None]
    made = Series(
        energy=energy.astype(np.float32),
        context={"velocity": rng.normal(size=(frames, height, width, 2)).astype(np.float32)},
        dt=0.5,
        domain=OPEN.name,
        source_total=source,
        outflow_total=outflow,
    )
    return replace(made, **more)  # type: ignore[arg-type]
