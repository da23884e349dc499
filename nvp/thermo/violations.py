"""The second law, where a domain has one, and the sign of an energy.

Spatial entropy cannot fall in a closed domain without source that an incompressible flow stirs and diffusion smooths.
The data's own rate belongs beside a model's: a correct model of data that violate the law violates it as often.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from nvp.atlas.entropy import spatial_entropy

# entropy may fall by this share of its largest value ln(H·W) before it counts: round-off of float32 fields
TOLERANCE = 1e-6


def second_law_violated(
    after: Float[np.ndarray, "n h w c"], before: Float[np.ndarray, "n h w c"]
) -> Bool[np.ndarray, "n"]:
    """Whether the spatial entropy of each field fell; a field with a negative cell counts as violating."""
    cells = after.shape[1] * after.shape[2] * after.shape[3]
    fallen = _entropy(after) < _entropy(before) - TOLERANCE * np.log(cells)
    violated: Bool[np.ndarray, "n"] = fallen | negative(after)
    return violated


def negative(field: Float[np.ndarray, "n h w c"]) -> Bool[np.ndarray, "n"]:
    """Whether any cell of each field is negative."""
    below: Bool[np.ndarray, "n"] = field.min(axis=(1, 2, 3)) < 0
    return below


def _entropy(field: Float[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n"]:
    entropy: Float[np.ndarray, "n"] = spatial_entropy(np.maximum(field, 0).astype(np.float64))
    return entropy
