"""Statistics of each frame: the numbers that the graph keeps beside a snapshot, for filters and for search.

All are computed in float64 from the stored float32, without reference to the domain but for `signed`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Real, Shaped

from nvp.atlas.descriptor import describe, shell_shares, standardised
from nvp.atlas.entropy import spatial_entropy
from nvp.atlas.regime import bandwidth, classify

# cells at once: float64 copies of so many stay in a processor's cache
_BLOCK_CELLS = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameStatistics:
    """One value per frame; see the fields."""

    # sum over all cells, units of the field
    total_energy: Float[np.ndarray, "t"]
    mean: Float[np.ndarray, "t"]
    # population variance over the cells, units²
    variance: Float[np.ndarray, "t"]
    minimum: Float[np.ndarray, "t"]
    maximum: Float[np.ndarray, "t"]
    # spatial entropy in nats; None where the field is signed
    entropy: Float[np.ndarray, "t"] | None
    # half the mean squared difference between neighbouring cells, summed over y and x, units² per cell²
    gradient_energy: Float[np.ndarray, "t"]
    # see `nvp.atlas.regime`
    regime: Shaped[np.ndarray, "t"]
    descriptor: Float32[np.ndarray, "t 64"]


def frame_statistics(energy: Real[np.ndarray, "t h w c"], *, signed: bool) -> FrameStatistics:
    """Statistics of each frame of `energy`; `signed` fields have no entropy."""
    size = max(1, _BLOCK_CELLS // energy[0].size)
    blocks = [_block(energy[k : k + size].astype(float), signed) for k in range(0, len(energy), size)]
    joined: dict[str, Any] = {
        entry.name: None
        if getattr(blocks[0], entry.name) is None
        else np.concatenate([getattr(block, entry.name) for block in blocks])
        for entry in fields(FrameStatistics)
    }
    return FrameStatistics(**joined)


def _block(energy: Float[np.ndarray, "t h w c"], signed: bool) -> FrameStatistics:
    cells = (1, 2, 3)
    mean = energy.mean(axis=cells)
    deviation = energy - mean[:, None, None, None]
    square = deviation * deviation
    variance = np.mean(square, axis=cells)
    kurtosis = np.mean(square * square, axis=cells) / np.where(variance > 0, variance, 1.0) ** 2 - 3.0
    gradient_energy = 0.5 * (
        np.mean(np.diff(energy, axis=1) ** 2, axis=cells) + np.mean(np.diff(energy, axis=2) ** 2, axis=cells)
    )
    size = np.sqrt(np.mean(energy**2, axis=cells))
    shape, spread = standardised(energy.sum(axis=3))
    shares = shell_shares(shape)
    return FrameStatistics(
        total_energy=energy.sum(axis=cells),
        mean=mean,
        variance=variance,
        minimum=energy.min(axis=cells),
        maximum=energy.max(axis=cells),
        entropy=None if signed else spatial_entropy(energy),
        gradient_energy=gradient_energy,
        regime=classify(
            relative_spread=np.sqrt(variance) / np.maximum(size, np.finfo(float).tiny),
            kurtosis=kurtosis,
            gradient_scale=np.sqrt(variance / np.maximum(2 * gradient_energy, np.finfo(float).tiny)),
            bandwidth=bandwidth(shares),
            side=min(energy.shape[1:3]),
        ),
        descriptor=describe(shape, spread, shares),
    )
