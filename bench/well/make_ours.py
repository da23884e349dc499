"""Our side: export a fixed pair of sequences in The Well's layout, for its own reader to open.

python bench/well/make_ours.py FOLDER          (fieldgraph's environment)
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from nvp.atlas.formats.export import export
from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec

STORM = DomainSpec(
    name="storm", title="Storm", closed=False, second_law=False, boundary_x="periodic", boundary_y="open", units="1",
    dx=1.0, dy=1.0, dt=1.597,
)  # fmt: skip
T, H, W = 4, 8, 16


def sequences() -> list[Series]:
    """Two sequences whose every number can be told from every other; no random numbers, which change with NumPy."""

    def field(seed: int, channels: int) -> np.ndarray:
        size = T * H * W * channels
        return (
            ((np.arange(size) * 7919 + 104_729 * seed) % 1_000_003 / 1024).astype(np.float32).reshape(T, H, W, channels)
        )

    return [
        Series(
            energy=field(seed, 1),
            context={"nematic": field(seed + 10, 4), "source": field(seed + 20, 1), "velocity": field(seed + 30, 2)},
            parameters={"t_cool": 0.5, "viscosity": 0.125 * (seed + 1)},
            dt=1.597,
            source_total=np.arange(T) + seed / 4,
            outflow_total=np.arange(T) / 8,
            domain="storm",
        )
        for seed in range(2)
    ]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    export(folder / "storm.hdf5", sequences(), STORM, "well", force=True)
