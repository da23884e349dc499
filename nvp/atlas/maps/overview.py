"""What a domain of an atlas holds, out of its metadata: no array is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from nvp.atlas.maps.sequence import AtlasSequence


def overview(sequences: Sequence[AtlasSequence]) -> dict[str, Any]:
    """Figures over all maps of some sequences of one domain; see the keys.

    `energy_variance` is that over all cells of all maps; `bytes` are those of the arrays.
    """
    said = [one.metadata(k) for one in sequences for k in range(len(one.steps))]
    cells = np.array([one.shape[0] * one.shape[1] for one in said], float)
    mean = np.array([one.energy_mean for one in said])
    whole = float(np.average(mean, weights=cells))
    # total variance: that within the maps and that between them
    within = np.array([one.energy_variance for one in said])
    entropies = [one.entropy for one in said if one.entropy is not None]
    dated = sorted(one.timestamp for one in said if one.timestamp is not None)
    return {
        "domain": sequences[0].domain,
        "count": len(said),
        "sequences": len(sequences),
        "bytes": int(4 * cells.sum()),
        "shapes": sorted({one.shape for one in said}),
        "energy_mean": whole,
        "energy_variance": float(np.average(within + (mean - whole) ** 2, weights=cells)),
        "entropy_mean": float(np.mean(entropies)) if entropies else None,
        "t": (min(one.t for one in said), max(one.t for one in said)),
        "timestamps": (dated[0], dated[-1]) if dated else None,
        "regimes": dict(sorted(Counter(one.regime for one in said).items())),
        "sources": dict(sorted(Counter(one.source for one in said).items())),
    }
