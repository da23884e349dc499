"""A folder atlas: energy maps as files that anybody can read, without a graph.

    <root>/<domain>/<sequence>/<step>.npy     canonical bytes of one map, axes (H, W, 1)
    <root>/<domain>/<sequence>/<step>.json    its metadata, written last: a map without it is not in the atlas yet
    <root>/<domain>/<sequence>.hdf5           or a whole sequence: /<domain>/<sequence>/{energy, step, metadata}
    <root>/<domain>/<sequence>/.cache/        what can be computed again: pyramids, gradients

Names that begin with a dot are no data. A file appears complete or not at all; who writes to a sequence holds its
lock, so that a map and its sidecar always come from the same writer, however many write at once.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from filelock import FileLock
from jaxtyping import Float32

from nvp.atlas.canonical import STORED, canonical_bytes
from nvp.atlas.maps.errors import BadData, NotInAtlas
from nvp.atlas.maps.metadata import EnergyMapMetadata, to_text
from nvp.atlas.sink import sink
from nvp.atlas.temporary import is_abandoned, temporary_name
from nvp.errors import FieldError

FORMAT = "fieldgraph atlas 1"
MOST_STEPS = 10**9

_DOMAIN = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SEQUENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_STEP = re.compile(r"[0-9]{4,9}")


def parse_map_id(map_id: str) -> tuple[str, int]:
    """Sequence and step of `<sequence>/<step>`; nothing outside the atlas can be named."""
    sequence, _, step = map_id.rpartition("/")
    if not _SEQUENCE.fullmatch(sequence) or not re.fullmatch(r"[0-9]{1,9}", step):
        raise NotInAtlas(
            "BAD_MAP_ID",
            f"expected a map's id as <sequence>/<step>, got {map_id!r}.",
            next_step="Names have letters, digits, '.', '_' and '-', and begin with a letter or digit.",
        )
    return sequence, int(step)


class Folder:
    """Where the maps of an atlas lie, and how they get there."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._swept = False

    # -- places -----------------------------------------------------------------------------------------------------

    def domain(self, domain: str) -> Path:
        """Folder of a domain."""
        return self.root / _checked(_DOMAIN, domain, "domain")

    def sequence(self, domain: str, sequence: str) -> Path:
        """Folder of a sequence of single maps; its cache is below it in either format."""
        return self.domain(domain) / _checked(_SEQUENCE, sequence, "sequence")

    def hdf5(self, domain: str, sequence: str) -> Path:
        """The file of a whole sequence."""
        return self.sequence(domain, sequence).with_name(f"{sequence}.hdf5")

    def npy(self, domain: str, sequence: str, step: int) -> Path:
        """The file of one map; its sidecar has the suffix .json."""
        return self.sequence(domain, sequence) / f"{step:04d}.npy"

    def cache(self, domain: str, sequence: str) -> Path:
        """What can be computed again from a sequence."""
        return self.sequence(domain, sequence) / ".cache"

    # -- what is there ----------------------------------------------------------------------------------------------

    def domains(self) -> list[str]:
        """Domains with a folder, in order of name."""
        return [entry.name for entry in _entries(self.root) if entry.is_dir() and _DOMAIN.fullmatch(entry.name)]

    def sequences(self, domain: str) -> list[str]:
        """Sequences of a domain, in order of name."""
        found = set()
        for entry in _entries(self.domain(domain)):
            if entry.name.endswith(".hdf5") and _SEQUENCE.fullmatch(entry.name[:-5]):
                found.add(entry.name[:-5])
            elif entry.is_dir() and _SEQUENCE.fullmatch(entry.name) and self.steps(domain, entry.name):
                found.add(entry.name)
        return sorted(found)

    def steps(self, domain: str, sequence: str) -> list[int]:
        """Steps of the maps kept as single files, in order: those that have a sidecar."""
        stems = (entry.name[:-5] for entry in _entries(self.sequence(domain, sequence)) if entry.name.endswith(".json"))
        return sorted(int(stem) for stem in stems if _STEP.fullmatch(stem))

    def is_hdf5(self, domain: str, sequence: str) -> bool:
        """Whether the sequence is one HDF5 file; refuses one that is kept in both formats."""
        whole = self.hdf5(domain, sequence).is_file()
        if whole and self.steps(domain, sequence):
            raise BadData(
                "TWO_FORMATS",
                f"expected {self.sequence(domain, sequence)} either as a folder or as an .hdf5 file, got both.",
                next_step="Move one of them away.",
            )
        return whole

    # -- writing ----------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, domain: str, sequence: str) -> Iterator[None]:
        """Hold the sequence's lock; it is given up when the process ends, however it ends."""
        place = self.root / ".locks" / f"{self.sequence(domain, sequence).parent.name}.{sequence}"
        lock = FileLock(place)
        with self._telling(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def write_npy(self, energy: Float32[np.ndarray, "h w 1"], metadata: EnergyMapMetadata) -> None:
        """Place a map and then its sidecar; what is there already with these bytes is left alone."""
        path = self.npy(metadata.domain, metadata.sequence, metadata.step)
        self.place(path, canonical_bytes(energy))
        self.place(path.with_suffix(".json"), to_text(metadata).encode())

    def write_hdf5(self, energy: Float32[np.ndarray, "t h w 1"], metadata: Sequence[EnergyMapMetadata]) -> None:
        """Place a whole sequence, chunk = frame, in order of step."""
        head = metadata[0]
        path = self.hdf5(head.domain, head.sequence)

        def write(temporary: Path) -> None:
            with sink(temporary) as target, h5py.File(target, "w") as file:
                group = file.create_group(f"{head.domain}/{head.sequence}")
                group.create_dataset("energy", data=energy, dtype=STORED, chunks=(1, *energy.shape[1:]))
                group.create_dataset("step", data=np.array([one.step for one in metadata], "<i8"))
                group.create_dataset("metadata", data=[to_text(one) for one in metadata], dtype=h5py.string_dtype())
                shared = {name: getattr(head, name) for name in ("domain", "sequence", "units", "dx", "dy", "source")}
                group.attrs.update({"format": FORMAT, **shared})

        self._place(path, write)

    def place(self, path: Path, content: bytes) -> None:
        """Make `path` appear with this content, complete or not at all."""
        with contextlib.suppress(OSError):
            if path.stat().st_size == len(content) and path.read_bytes() == content:
                return
        self._place(path, lambda temporary: temporary.write_bytes(content))

    def _place(self, path: Path, write: Callable[[Path], object]) -> None:
        temporary = self.root / ".tmp" / temporary_name(path.suffix)
        with self._telling(path):
            try:
                temporary.parent.mkdir(parents=True, exist_ok=True)
                path.parent.mkdir(parents=True, exist_ok=True)
                self._sweep()
                write(temporary)
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())
                temporary.replace(path)
            finally:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Once: what killed writers of this host left behind."""
        if not self._swept:
            self._swept = True
            for entry in _entries(self.root / ".tmp"):
                if is_abandoned(entry.name):
                    Path(entry).unlink(missing_ok=True)

    @contextmanager
    def _telling(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FieldError(
                "ATLAS_UNWRITABLE",
                f"cannot write {path}: {' '.join(str(error).split())}.",
                next_step="Free space, or choose a folder that you may write to.",
            ) from error


def _checked(pattern: re.Pattern[str], name: str, what: str) -> str:
    if pattern.fullmatch(name):
        return name
    raise NotInAtlas(
        "BAD_NAME",
        f"expected a {what}'s name of the form {pattern.pattern}, got {name!r}.",
        next_step="Names never hold '/' and never begin with a dot.",
    )


def _entries(path: Path) -> list[os.DirEntry[str]]:
    """What a folder holds, in order of name; nothing where there is no folder."""
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
