"""Fields of a domain as files, and what a training without a graph is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from resolvers.services.importing import IngestRequest
from resolvers.services.offline_data import OfflineSequence, from_file
from resolvers.services.submission import TrainingRequest
from tests.resolvers.carried import carried

RIDGE = TrainingRequest(domain="fluid_dynamics", model="ridge", seed=3)


def quiet(_: object) -> None:
    """Nothing to tell."""


def files(folder: Path, *, count: int = 3, side: int = 8, frames: int = 12) -> list[Path]:
    """Fields of a domain as plain files."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for seed in range(count):
        path = folder / f"wave-{seed}.npy"
        np.save(path, carried(side=side, frames=frames, seed=seed).energy[..., 0])
        path.with_suffix(".json").write_text(json.dumps({"units": "1", "dt": 1.0}))
        made.append(path)
    return made


def read(paths: list[Path]) -> list[OfflineSequence]:
    return [one for path in paths for one in from_file(IngestRequest(path=path, domain="fluid_dynamics"))]
