"""A small field that is carried along at a known velocity: any predictor worth its name follows it."""

from __future__ import annotations

import numpy as np

from nvp.atlas.series import Series
from resolvers.services.context import Services
from resolvers.services.ingest import ingest_series


def carried(*, side: int = 16, frames: int = 48, seed: int = 0) -> Series:
    """Smooth waves, one cell per step to the right, on a periodic square; positive, total constant."""
    rng = np.random.default_rng(seed)
    x = 2 * np.pi * np.arange(side) / side
    field = np.full((side, side), 8.0)
    for ky, kx in ((0, 1), (1, 1), (1, 2), (2, 1)):
        amplitude, phase = rng.uniform(0.5, 1.0), rng.uniform(0, 2 * np.pi)
        field += amplitude * np.cos(ky * x[:, None] + kx * x[None, :] + phase)
    energy = np.stack([np.roll(field, step, axis=1) for step in range(frames)])[..., None].astype(np.float32)
    velocity = np.zeros((frames, side, side, 2), np.float32)
    velocity[..., 0] = 1.0
    return Series(energy=energy, context={"velocity": velocity}, dt=1.0, domain="fluid_dynamics")


async def ingest_carried(services: Services, *, sequences: int = 1, side: int = 16, frames: int = 48) -> list[str]:
    """Uids of sequences that are in the graph now."""
    uids = []
    for seed in range(sequences):
        report = await ingest_series(
            services,
            carried(side=side, frames=frames, seed=seed),
            source=f"carried-{side}-{seed}",
            recipe={"side": side, "frames": frames, "seed": seed},
            generator="carried",
            label="Simulated",
        )
        uids.append(report.sequence)
    return uids
