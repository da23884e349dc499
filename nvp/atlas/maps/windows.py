"""Windows: stretches of T consecutive steps, none of which crosses a sequence or a gap within one.

Windows are known by number before anything is read. A batch reads its frames only, file by file in order of place,
straight into the array that it returns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64

from nvp.atlas.maps.errors import BadData
from nvp.atlas.maps.metadata import EnergyMapMetadata
from nvp.atlas.maps.pyramids import coarse
from nvp.atlas.maps.sequence import AtlasSequence
from nvp.atlas.maps.shapes import Scale, Shape, grid_of
from nvp.errors import FieldError


class Windows:
    """All windows of some sequences, in their order and in order of step; `stride` steps lie between two starts."""

    def __init__(
        self, sequences: Sequence[AtlasSequence], *, length: int, stride: int, scale: Scale | None = None
    ) -> None:
        if length < 1 or stride < 1:
            raise FieldError(
                "BAD_WINDOW",
                f"expected a window and a stride of at least 1, got {length} and {stride}.",
                next_step="Choose e.g. 10 and 10.",
            )
        self.sequences, self.length = tuple(sequences), length
        # number of the sequence and position of the first frame, by number of the window
        self.index = np.array(
            [(k, start) for k, one in enumerate(sequences) for start in starts(one.steps, length, stride)], np.int64
        ).reshape(-1, 2)
        used = {self.sequences[k].shape for k in np.unique(self.index[:, 0]).tolist()}
        grids = {grid_of(scale, shape) for shape in used}
        if len(grids) > 1:
            raise BadData(
                "MIXED_GRIDS",
                f"expected sequences on one grid, got {sorted(grids)}.",
                next_step="Give a scale (height, width) that all of them have.",
            )
        # that of a batch; None where there is no window
        self.grid: Shape | None = grids.pop() if grids else None

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, number: int) -> Float32[np.ndarray, "t h w"]:
        """One window."""
        window: Float32[np.ndarray, "t h w"] = self.batch(np.array([number]))[0]
        return window

    def batch(self, numbers: Int64[np.ndarray, "n"]) -> Float32[np.ndarray, "n t h w"]:
        """These windows, in this order."""
        if self.grid is None:
            return np.empty((0, self.length, 0, 0), np.float32)
        chosen = self.index[numbers]
        out = np.empty((len(chosen), self.length, *self.grid, 1), np.float32)
        # by file and place, as a disk likes it
        for k in np.lexsort((chosen[:, 1], chosen[:, 0])).tolist():
            number, start = chosen[k].tolist()
            sequence = self.sequences[number]
            if sequence.shape == self.grid:
                sequence.read(start, out[k])
            else:
                frames = np.empty((self.length, *sequence.shape, 1), np.float32)
                sequence.read(start, frames)
                out[k] = coarse(frames, self.grid)
        return out[..., 0]

    def metadata(self, number: int) -> tuple[EnergyMapMetadata, ...]:
        """Those of one window's frames, as they are kept."""
        k, start = self.index[number].tolist()
        return tuple(self.sequences[k].metadata(start + t) for t in range(self.length))


def starts(steps: Int64[np.ndarray, "t"], length: int, stride: int) -> list[int]:
    """Positions where a window of `length` consecutive steps begins: every `stride` steps of each unbroken stretch."""
    edges = np.flatnonzero(np.diff(steps) != 1) + 1
    found: list[int] = []
    for stretch in np.split(np.arange(len(steps)), edges):
        found += stretch[: max(0, len(stretch) - length + 1) : stride].tolist()
    return found


def time_last(batch: Float32[np.ndarray, "n t h w"]) -> Float32[np.ndarray, "n h w t"]:
    """The same windows with time as the last axis; a view, nothing is copied."""
    return np.moveaxis(batch, 1, -1)
