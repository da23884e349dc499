"""Sequences of an atlas, wherever their frames lie: a folder of maps, one HDF5 file, or the graph's segments.

Each is read lazily by position; position k holds step `steps[k]`, in increasing order.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from jaxtyping import Float32, Int64

from nvp.atlas.canonical import digest
from nvp.atlas.maps import reader
from nvp.atlas.maps.errors import BadData, NotInAtlas
from nvp.atlas.maps.folder import FORMAT, Folder
from nvp.atlas.maps.metadata import EnergyMapMetadata, from_text
from nvp.atlas.maps.shapes import Shape

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
        return self._position(self.steps, step)

    def frame(self, step: int) -> tuple[Float32[np.ndarray, "h w 1"], EnergyMapMetadata]:
        """One map, whose hash is that of its metadata."""
        position = self.position(step)
        metadata = self.metadata(position)
        out = np.empty((1, *metadata.shape, 1), np.float32)
        self.read(position, out)
        return _whole(out[0], metadata, self.place(step)), metadata

    def _position(self, steps: Int64[np.ndarray, "t"], step: int) -> int:
        place = int(np.searchsorted(steps, step))
        if place < len(steps) and steps[place] == step:
            return place
        raise NotInAtlas(
            "UNKNOWN_MAP",
            f"expected one of the {len(steps)} steps of sequence {self.name!r} of {self.domain!r}, got {step}.",
            next_step="List them by `sequences`, or save the map first.",
        )

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
            if digest(values) == metadata.sha256:
                break
            # a writer may be between the map and its sidecar
            time.sleep(0.01 * attempt)
        return _whole(values, metadata, self.place(step)), metadata

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


class _Words(NamedTuple):
    """What an HDF5 sequence says beside its values, and of which state of the file."""

    state: tuple[int, int, int]
    steps: Int64[np.ndarray, "t"]
    metadata: tuple[bytes, ...]


class Hdf5Sequence(AtlasSequence):
    """A whole sequence in one file; its few words are read once, its frames when they are wanted.

    Where the file is replaced meanwhile by one of the same steps, that is read; other steps would be other positions.
    """

    def __init__(self, folder: Folder, domain: str, name: str, *, signed: bool) -> None:
        super().__init__(domain, name, signed=signed)
        self.path = folder.hdf5(domain, name)
        self._group = f"/{domain}/{name}"
        self._words: _Words = reader.with_file(self.path, self._read_words)
        self._parsed: dict[int, EnergyMapMetadata] = {}

    @property
    def steps(self) -> Int64[np.ndarray, "t"]:
        return self._words.steps

    def metadata(self, position: int) -> EnergyMapMetadata:
        if position not in self._parsed:
            self._parsed[position] = self._parse(self._words, position)
        return self._parsed[position]

    def read(self, start: int, out: Float32[np.ndarray, "t h w 1"]) -> None:
        def work(opened: reader.Opened) -> None:
            self._follow(opened)
            reader.read_opened(opened, self.path, f"{self._group}/energy", start, out, signed=self.signed)

        reader.with_file(self.path, work)

    def frame(self, step: int) -> tuple[Float32[np.ndarray, "h w 1"], EnergyMapMetadata]:
        # values and metadata out of one state of the file, whoever replaces it meanwhile
        def work(opened: reader.Opened) -> tuple[Float32[np.ndarray, "h w 1"], EnergyMapMetadata]:
            words = self._words if opened.state == self._words.state else self._read_words(opened)
            place = self._position(words.steps, step)
            metadata = self._parse(words, place)
            out = np.empty((1, *metadata.shape, 1), np.float32)
            reader.read_opened(opened, self.path, f"{self._group}/energy", place, out, signed=self.signed)
            return _whole(out[0], metadata, self.path), metadata

        found: tuple[Float32[np.ndarray, "h w 1"], EnergyMapMetadata] = reader.with_file(self.path, work)
        return found

    def place(self, step: int) -> Path:
        return self.path

    def _follow(self, opened: reader.Opened) -> None:
        if opened.state == self._words.state:
            return
        words = self._read_words(opened)
        if not np.array_equal(words.steps, self._words.steps):
            raise BadData(
                "SEQUENCE_CHANGED",
                f"expected {len(self._words.steps)} steps as before in {self.path}, got {len(words.steps)}.",
                next_step="It was saved to meanwhile: ask the atlas for its windows again.",
            )
        self._words, self._parsed = words, {}

    def _read_words(self, opened: reader.Opened) -> _Words:
        group = opened.file[self._group]
        energy, steps = group["energy"], group["step"][()].astype(np.int64)
        if group.attrs.get("format") != FORMAT or not isinstance(energy, h5py.Dataset):
            raise ValueError(f"format is {group.attrs.get('format')!r}, not {FORMAT!r}")
        if not len(energy) == len(steps) == len(group["metadata"]) or (np.diff(steps) <= 0).any():
            raise ValueError("energy, step and metadata do not fit each other")
        return _Words(opened.state, steps, tuple(group["metadata"][()].tolist()))

    def _parse(self, words: _Words, position: int) -> EnergyMapMetadata:
        metadata = from_text(words.metadata[position], file=f"{self.path}, frame {position}")
        return _named(metadata, self, int(words.steps[position]), self.path)


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


def _whole(
    values: Float32[np.ndarray, "h w 1"], metadata: EnergyMapMetadata, path: Path
) -> Float32[np.ndarray, "h w 1"]:
    """The values, which must be those of their metadata."""
    found = digest(values)
    if found == metadata.sha256:
        return values
    raise BadData(
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
