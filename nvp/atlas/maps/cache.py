"""Cache of levels beside the data: what was computed from a map, with the hash of what it was computed from.

One file per map, kind and grid. A file that was made from other values, with another geometry or by another version,
or that cannot be read, is no error: it is made again.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from nvp.atlas.maps.folder import Folder
from nvp.atlas.maps.gradients import Geometry
from nvp.atlas.maps.metadata import EnergyMapMetadata
from nvp.atlas.maps.pyramids import Defect, Kind, Level, level
from nvp.atlas.maps.shapes import Shape

# to be counted up when `level` computes other numbers
VERSION = "fieldgraph level 1"


def cached_level(
    folder: Folder,
    energy: Float32[np.ndarray, "h w"],
    metadata: EnergyMapMetadata,
    grid: Shape,
    geometry: Geometry,
    *,
    kind: Kind,
    signed: bool,
) -> Level:
    """The level of this map, read where it is there and made and kept where it is not."""
    path = folder.cache(metadata.domain, metadata.sequence) / f"{metadata.step:04d}.{kind}.{grid[0]}x{grid[1]}.npz"
    key = {
        "version": VERSION, "sha256": metadata.sha256, "kind": kind, "grid": list(grid), "signed": signed,
        **asdict(geometry),
    }  # fmt: skip
    known = _read(path, key)
    if known is None:
        known = level(energy, grid, geometry, kind=kind, signed=signed)
        _write(folder, path, key, known)
    return known


def _read(path: Path, key: dict[str, Any]) -> Level | None:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            said = json.loads(str(archive["said"]))
            if said["key"] != key:
                return None
            return Level(
                kind=key["kind"],
                energy=archive["energy"],
                gradient=archive["gradient"],
                geometry=Geometry(**said["geometry"]),
                defect=Defect(**said["defect"]),
            )
    except Exception:
        # missing, cut off or not ours: whatever it is, it can be made again
        return None


def _write(folder: Folder, path: Path, key: dict[str, Any], known: Level) -> None:
    buffer = io.BytesIO()
    said = {"key": key, "geometry": asdict(known.geometry), "defect": known.defect.to_json()}
    np.savez(buffer, energy=known.energy, gradient=known.gradient, said=np.array(json.dumps(said)))
    folder.place(path, buffer.getvalue())
