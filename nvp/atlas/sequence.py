"""Sequences of an atlas, wherever their frames lie: a folder of maps, one HDF5 file, or the graph's segments.

Each is read lazily by position; position k holds step `steps[k]`, in increasing order.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float32, Int64

from nvp.atlas import reader
from nvp.atlas.canonical import digest
from nvp.atlas.errors import BadData, NotInAtlas
from nvp.atlas.folder import FORMAT, Folder
from nvp.atlas.metadata import EnergyMapMetadata, from_text
from nvp.atlas.shapes import Shape

# readings of a map whose sidecar does not fit it yet, and how they add up: about half a second
_ATTEMPTS = 10


class AtlasSequence(ABC):
    """One evolution of a field, in the files where it is kept."""

    def __init__(self, domain: str, name: str, *, signed: bool) -> None:
        self.domain, self.name, self.signed = domain, name, signed

    @property
    @abstractmethod
    def steps(self) -> Int64[np.ndarray, "t"]:
        """Steps that are there, in order."""

    @abstractmethod
    def metadata(self, position: int) -> EnergyMapMetadata:
        """What is known of the frame at this position."""

    @abstractmethod
    def read(self, start: int, out: Float32[np.ndarray, "t h w 1"]) -> None:
        """Fill `out` with the frames from position `start`; nothing else is read."""

    @property
    def shape(self) -> Shape:
        """Height and width, of the first frame and so of all."""
        return self.metadata(0).shape

    def position(self, step: int) -> int:
        """Where this step is; raises `NotInAtlas` where it is not."""
        place = int(np.searchsorted(self.steps, step))
        if place < len(self.steps) and self.steps[place] == step:
            return place
        raise NotInAtlas(
            "UNKNOWN_MAP",
            f"expected one of the {len(self.steps)} steps of sequence {self.name!r} of {self.domain!r}, got {step}.",
            next_step="List them by `load_batch`, or save the map first.",
        )

    def frame(self, step: int) -> tuple[Float32[np.ndarray, "h w 1"], EnergyMapMetadata]:
        """One map, whose hash is that of its metadata."""
        metadata = self.metadata(self.position(step))
        out = np.empty((1, *metadata.shape, 1), np.float32)
        self.read(self.position(step), out)
        found = digest(out[0])
        if found != metadata.sha256:
            raise changed(self.place(step), metadata, found)
        return out[0], metadata

    @abstractmethod
    def place(self, step: int) -> Path:
        """The file that holds this step."""


class NpySequence(AtlasSequence):
    """A folder of single maps with their sidecars."""

    def __init__(self, folder: Folder, domain: str, name: str, *, signed: bool) -> None:
        super().__init__(domain, name, signed=signed)
        self._folder = folder
        self._metadata: dict[int, tuple[tuple[int, int], EnergyMapMetadata]] = {}

    @cached_property
    def steps(self) -> Int64[np.ndarray, "t"]:
        return np.array(self._folder.steps(self.domain, self.name), np.int64)

    def metadata(self, position: int) -> EnergyMapMetadata:
        return self._sidecar(int(self.steps[position]))

    def frame(self, step: int) -> tuple[Float32[np.ndarray, "h w 1"], EnergyMapMetadata]:
        if not self.place(step).with_suffix(".json").is_file():
            self.position(step)
        for attempt in range(_ATTEMPTS):
            metadata, values = self._sidecar(step), reader.read_npy(self.place(step), signed=self.signed)
            found = digest(values)
            if found == metadata.sha256:
                return values, metadata
            # a writer may be between the map and its sidecar
            time.sleep(0.01 * attempt)
        raise changed(self.place(step), metadata, found)

    def _sidecar(self, step: int) -> EnergyMapMetadata:
        path = self.place(step).with_suffix(".json")
        try:
            status = path.stat()
            state = (status.st_ino, status.st_mtime_ns)
            known = self._metadata.get(step)
            if known is None or known[0] != state:
                metadata = from_text(path.read_bytes(), file=str(path))
                known = self._metadata[step] = (state, _named(metadata, self, step, path))
        except FileNotFoundError:
            raise reader.missing(path) from None
        except OSError as error:
            raise reader.damaged(path, error) from error
        return known[1]

    def read(self, start: int, out: Float32[np.ndarray, "t h w 1"]) -> None:
        for k in range(len(out)):
            path = self.place(int(self.steps[start + k]))
            values = reader.read_npy(path, signed=self.signed)
            if values.shape != out.shape[1:]:
                raise BadData(
                    "BAD_SHAPE",
                    f"expected {out.shape[1:3]} as in the rest of its sequence in {path}, got {values.shape[:2]}.",
                    next_step="Keep maps of one grid in one sequence.",
                )
            out[k] = values

    def place(self, step: int) -> Path:
        return self._folder.npy(self.domain, self.name, step)


class Hdf5Sequence(AtlasSequence):
    """A whole sequence in one file; its few words are read once, its frames when they are wanted."""

    def __init__(self, folder: Folder, domain: str, name: str, *, signed: bool) -> None:
        super().__init__(domain, name, signed=signed)
        self.path = folder.hdf5(domain, name)
        self._group = f"/{domain}/{name}"

    @cached_property
    def _said(self) -> tuple[Int64[np.ndarray, "t"], tuple[bytes, ...]]:
        def read(opened: reader.Opened) -> tuple[Int64[np.ndarray, "t"], tuple[bytes, ...]]:
            group = opened.file[self._group]
            energy, steps = group["energy"], group["step"][()].astype(np.int64)
            if group.attrs.get("format") != FORMAT or not isinstance(energy, h5py.Dataset):
                raise ValueError(f"format is {group.attrs.get('format')!r}, not {FORMAT!r}")
            if not len(energy) == len(steps) == len(group["metadata"]) or (np.diff(steps) <= 0).any():
                raise ValueError("energy, step and metadata do not fit each other")
            return steps, tuple(group["metadata"][()].tolist())

        said: tuple[Int64[np.ndarray, "t"], tuple[bytes, ...]] = reader.with_file(self.path, read)
        return said

    @property
    def steps(self) -> Int64[np.ndarray, "t"]:
        return self._said[0]

    @cached_property
    def _parsed(self) -> dict[int, EnergyMapMetadata]:
        return {}

    def metadata(self, position: int) -> EnergyMapMetadata:
        if position not in self._parsed:
            text = from_text(self._said[1][position], file=f"{self.path}, frame {position}")
            self._parsed[position] = _named(text, self, int(self.steps[position]), self.path)
        return self._parsed[position]

    def read(self, start: int, out: Float32[np.ndarray, "t h w 1"]) -> None:
        reader.read_hdf5(self.path, f"{self._group}/energy", start, out, signed=self.signed)

    def place(self, step: int) -> Path:
        return self.path


@dataclass(frozen=True, slots=True)
class Located:
    """A frame in a file of the array store."""

    path: Path
    dataset: str
    index: int
    metadata: EnergyMapMetadata


class GraphSequence(AtlasSequence):
    """A sequence as the graph knows it, in the files of the array store."""

    def __init__(self, domain: str, name: str, frames: tuple[Located, ...], *, signed: bool) -> None:
        super().__init__(domain, name, signed=signed)
        self._frames = frames

    @cached_property
    def steps(self) -> Int64[np.ndarray, "t"]:
        return np.array([frame.metadata.step for frame in self._frames], np.int64)

    def metadata(self, position: int) -> EnergyMapMetadata:
        return self._frames[position].metadata

    def read(self, start: int, out: Float32[np.ndarray, "t h w 1"]) -> None:
        wanted = self._frames[start : start + len(out)]
        k = 0
        while k < len(wanted):
            head, n = wanted[k], 1
            # neighbours in one file are one read
            while k + n < len(wanted) and wanted[k + n].path == head.path and wanted[k + n].index == head.index + n:
                n += 1
            reader.read_hdf5(head.path, head.dataset, head.index, out[k : k + n], signed=self.signed)
            k += n

    def place(self, step: int) -> Path:
        return self._frames[self.position(step)].path


def open_sequence(folder: Folder, domain: str, name: str, *, signed: bool) -> AtlasSequence | None:
    """The sequence of this name in a folder atlas; None where there is none."""
    if folder.is_hdf5(domain, name):
        return Hdf5Sequence(folder, domain, name, signed=signed)
    found = NpySequence(folder, domain, name, signed=signed)
    return found if len(found.steps) else None


def changed(path: Path, metadata: EnergyMapMetadata, found: str) -> BadData:
    """The error for values that are not those of their metadata."""
    return BadData(
        "FILE_CHANGED",
        f"expected content {metadata.sha256[:12]}… for {metadata.map_id} in {path}, got {found[:12]}….",
        next_step="Restore it from a backup, or save the map again.",
    )


def _named(metadata: EnergyMapMetadata, sequence: AtlasSequence, step: int, path: Path) -> EnergyMapMetadata:
    """The metadata, which must be that of the map at this place."""
    place = (sequence.domain, sequence.name, step)
    found = (metadata.domain, metadata.sequence, metadata.step)
    if found != place:
        raise BadData(
            "BAD_METADATA",
            f"expected metadata of {place} in {path}, got {found}.",
            next_step="Move it back to where it belongs.",
        )
    return metadata
