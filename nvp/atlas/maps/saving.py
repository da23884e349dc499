"""Saving into a folder atlas: what is refused, and how a sequence takes new maps in either format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float32, Shaped

from nvp.atlas.canonical import as_stored
from nvp.atlas.maps.errors import BadData, NotInAtlas
from nvp.atlas.maps.folder import Folder
from nvp.atlas.maps.metadata import EnergyMapMetadata
from nvp.atlas.maps.reader import check_values
from nvp.atlas.maps.sequence import AtlasSequence, Hdf5Sequence, open_sequence
from nvp.atlas.maps.shapes import validate_shape
from nvp.errors import FieldError

Format = Literal["npy", "hdf5"]


def as_kept(energy: Shaped[np.ndarray, "..."], map_id: str, *, signed: bool) -> Float32[np.ndarray, "h w 1"]:
    """The map as it is kept; refuses what is no field, naming `map_id`."""
    if energy.dtype.kind not in "fiu" or not validate_shape(energy.shape):
        raise BadData(
            "BAD_SHAPE",
            f"expected numbers on a grid (H, W) of multiples of 8 for {map_id}, got {energy.dtype} {energy.shape}.",
            next_step="Crop or regrid it first.",
        )
    # what float32 does not hold becomes infinite, which the check reports
    with np.errstate(over="ignore"):
        stored = as_stored(energy.reshape(*energy.shape[:2], 1))
    check_values(stored[None], map_id, None, signed=signed)
    return stored


def save(
    folder: Folder,
    energy: Float32[np.ndarray, "t h w 1"],
    metadata: Sequence[EnergyMapMetadata],
    *,
    format: Format | None,
) -> None:
    """Place maps of one sequence, then their sidecars; `format` None goes on as the sequence began (npy)."""
    head = metadata[0]
    with folder.writing(head.domain, head.sequence):
        there = open_sequence(folder, head.domain, head.sequence, signed=True)
        if there is None:
            kept: Format = format or "npy"
        else:
            kept = "hdf5" if isinstance(there, Hdf5Sequence) else "npy"
            _check_fits(there, metadata, format or kept, kept)
        if kept == "npy":
            for frame, one in zip(energy, metadata, strict=True):
                folder.write_npy(frame, one)
        elif there is None or not all(_is_kept(there, one) for one in metadata):
            # an HDF5 file cannot be changed in place and stay whole: it is written anew. What is replaced need not be
            # readable, for saving again is how a damaged map is mended
            frames = {} if there is None else {step: there.frame(step) for step in _others(there, metadata)}
            given = {one.step: (frame, one) for frame, one in zip(energy, metadata, strict=True)}
            merged = [frame for _, frame in sorted((frames | given).items())]
            folder.write_hdf5(np.stack([values for values, _ in merged]), [one for _, one in merged])


def _check_fits(there: AtlasSequence, metadata: Sequence[EnergyMapMetadata], format: Format, kept: Format) -> None:
    if format != kept:
        raise FieldError(
            "OTHER_FORMAT",
            f"expected sequence {there.name!r} to go on as {kept}, got {format}.",
            next_step="Leave the format out, or choose another name for the sequence.",
        )
    others = _others(there, metadata)
    shape = there.metadata(there.position(others[0])).shape if others else metadata[0].shape
    for one in metadata:
        if one.shape != shape:
            raise BadData(
                "BAD_SHAPE",
                f"expected maps of {shape} as in the rest of sequence {there.name!r}, got {one.shape}.",
                next_step="Keep maps of one grid in one sequence.",
            )


def _others(there: AtlasSequence, metadata: Sequence[EnergyMapMetadata]) -> list[int]:
    """Steps that are there and not among those given."""
    given = {one.step for one in metadata}
    return [step for step in there.steps.tolist() if step not in given]


def _is_kept(there: AtlasSequence, one: EnergyMapMetadata) -> bool:
    """Whether this very map is there, whole."""
    try:
        return there.frame(one.step)[1] == one
    except (BadData, NotInAtlas):
        return False
