"""The array store: immutable files, named by what they contain, shared by all workers.

    segments/ab/<sha256>.h5       a stretch of a series; frame k is `…#k`, its stacked context `…#k/context`
    objects/ab/<sha256>.npy       a single array
    tmp/                          files being written; never referred to

A file appears complete or not at all (temporary file, fsync, rename), and writing what is there already does nothing,
so any number of threads, processes and hosts may write the same content at once. The graph refers to arrays by uri,
relative to the root; nothing in the store refers to the graph.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float32, Shaped

from nvp.atlas import segment_file
from nvp.atlas.canonical import canonical_bytes, digest
from nvp.atlas.disk import flush
from nvp.atlas.segment_file import FrameDigests
from nvp.atlas.series import Series
from nvp.atlas.temporary import is_abandoned, temporary_name
from nvp.errors import FieldError

_SEGMENT = re.compile(r"segments/([0-9a-f]{2})/(\1[0-9a-f]{62})\.h5(?:#(0|[1-9][0-9]{0,11})(/context)?)?")
_OBJECT = re.compile(r"objects/([0-9a-f]{2})/(\1[0-9a-f]{62})\.npy")


@dataclass(frozen=True, slots=True)
class StoredArray:
    """One array in the store."""

    uri: str
    sha256: str


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One frame of a segment; its context is all context fields of the frame, stacked along C in order of name."""

    uri: str
    sha256: str
    context_uri: str | None = None
    context_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """One segment in the store; `sha256` is over its content."""

    uri: str
    sha256: str
    frames: tuple[StoredFrame, ...]
    context_names: tuple[str, ...] = ()
    # this call wrote the file; False where it was there already
    created: bool = False


@dataclass(frozen=True, slots=True)
class SegmentReader:
    """A stored segment as a series of which nothing is in memory."""

    store: ArrayStore
    uri: str
    length: int

    def __len__(self) -> int:
        return self.length

    def part(self, start: int, stop: int) -> Series:
        """Frames start … stop-1, counted from the segment's first."""
        return self.store.read_segment(self.uri, start, stop)


class ArrayStore:
    """Arrays under one directory, which is made when the first one is written."""

    canonical_bytes = staticmethod(canonical_bytes)

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def write_segment(self, series: Series, hashed: FrameDigests | None = None) -> StoredSegment:
        """Keep `series` as one segment; one that is there already is left as it is, and costs its hashing only.

        `hashed` are the digests of the series' frames, where they are known. Raises `FieldError` where the parts of
        the series do not fit each other.
        """
        segment_file.check(series)
        hashed = hashed or segment_file.frame_digests(series)
        sha256 = segment_file.content_digest(series, hashed)
        uri = f"segments/{sha256[:2]}/{sha256}.h5"
        path = self.root / uri
        created = not self._is_whole(path)
        if created:
            self._place(path, lambda temporary: segment_file.write(temporary, series))
        else:
            _touch(path)
        contexts = hashed.stacked or (None,) * len(series)
        frames = tuple(
            StoredFrame(f"{uri}#{k}", sha, f"{uri}#{k}/context" if context else None, context)
            for k, (sha, context) in enumerate(zip(hashed.energy, contexts, strict=True))
        )
        return StoredSegment(uri, sha256, frames, tuple(sorted(series.context)), created)

    def read_segment(self, uri: str, start: int = 0, stop: int | None = None) -> Series:
        """Frames start … stop-1 of a segment (all by default), with their context; nothing else is read."""
        with self._open(uri) as file:
            length = segment_file.length(file)
            stop = length if stop is None else stop
            if not 0 <= start < stop <= length:
                raise FieldError(
                    "NO_FRAME",
                    f"expected frames within 0 … {length} of {uri}, got {start} … {stop}.",
                    next_step="Ask the graph for the segment's length.",
                )
            return segment_file.read(file, start, stop)

    def segment(self, uri: str) -> SegmentReader:
        """A segment whose frames are read as they are asked for."""
        with self._open(uri) as file:
            return SegmentReader(self, uri, segment_file.length(file))

    def write_array(self, array: Shaped[np.ndarray, "..."]) -> StoredArray:
        """Keep one array under the hash of its canonical bytes; idempotent."""
        sha256 = digest(array)
        uri = f"objects/{sha256[:2]}/{sha256}.npy"
        path = self.root / uri
        if path.exists():
            _touch(path)
        else:
            self._place(path, lambda temporary: temporary.write_bytes(canonical_bytes(array)))
        return StoredArray(uri, sha256)

    def read_array(self, uri: str) -> Float32[np.ndarray, "..."]:
        """The array at `uri`: a frame `…h5#k` (H, W, C), its stacked context `…h5#k/context`, or an object."""
        if match := _SEGMENT.fullmatch(uri):
            frame, context = match[3], match[4]
            if frame is None:
                raise FieldError(
                    "BAD_URI",
                    f"expected the uri of a frame (…h5#k), got the whole segment {uri!r}.",
                    next_step="Add #k, or use read_segment.",
                )
            return self._read_frame(uri, int(frame), context is not None)
        try:
            # read whole and then decode: np.load keeps the file open when it fails
            return np.load(io.BytesIO(self.path(uri).read_bytes()), allow_pickle=False)  # type: ignore[no-any-return]
        except FileNotFoundError:
            raise self._missing(uri) from None
        except (OSError, ValueError, EOFError) as error:
            raise self._damaged(uri, error) from error

    def verify(self, uri: str) -> None:
        """Recompute the hash of the file behind `uri`; raises `FieldError` where it is missing, cut off or changed."""
        path = self.path(uri)
        if path.suffix == ".npy":
            found = digest(self.read_array(uri))
        else:
            found = segment_file.content_digest(self.read_segment(uri.partition("#")[0]))
        if found != path.stem:
            raise FieldError(
                "FILE_CHANGED",
                f"expected content {path.stem[:12]}… in {path}, got {found[:12]}….",
                next_step="Restore it from a backup, or delete it and ingest its source again.",
            )

    def hash_of(self, uri: str) -> str:
        """sha256 of the array at `uri`, as it is on disk now; raises as `read_array`."""
        return digest(self.read_array(uri))

    def path(self, uri: str) -> Path:
        """The file behind any uri of this store; nothing outside the store can be named."""
        if not (_SEGMENT.fullmatch(uri) or _OBJECT.fullmatch(uri)):
            raise FieldError(
                "BAD_URI",
                f"expected segments/ab/<sha256>.h5#k or objects/ab/<sha256>.npy, got {uri!r}.",
                next_step="Take the uri from the graph.",
            )
        return self.root / uri.partition("#")[0]

    def remove(self, uri: str) -> None:
        """Delete the file behind `uri` if it is there; the caller knows that the graph does not refer to it."""
        with self._writing(self.path(uri)):
            self.path(uri).unlink(missing_ok=True)

    def set_aside(self, uri: str) -> Path | None:
        """Take the file behind `uri` out of everybody's sight, to be put back or deleted; None where there is none."""
        aside = self.root / "tmp" / temporary_name(self.path(uri).suffix)
        with self._writing(self.path(uri)):
            aside.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.path(uri).rename(aside)
            except FileNotFoundError:
                return None
        return aside

    def put_back(self, aside: Path, uri: str) -> None:
        """Undo `set_aside`."""
        with self._writing(self.path(uri)):
            aside.replace(self.path(uri))

    def throw_away(self, aside: Path) -> None:
        """Delete what was set aside."""
        with self._writing(aside):
            aside.unlink(missing_ok=True)

    def sweep_temporary(self, *, older_than_s: float = 86_400.0) -> int:
        """Delete what killed writers left behind: those of this host at once, others after a day; returns how many."""
        oldest = time.time() - older_than_s
        removed = 0
        for path in (self.root / "tmp").glob("*"):
            with self._writing(path), contextlib.suppress(FileNotFoundError):
                if is_abandoned(path.name) or path.stat().st_mtime < oldest:
                    path.unlink()
                    removed += 1
        return removed

    def _read_frame(self, uri: str, frame: int, context: bool) -> Float32[np.ndarray, "h w c"]:
        with self._open(uri) as file:
            length = segment_file.length(file)
            if frame >= length:
                raise FieldError(
                    "NO_FRAME",
                    f"expected a frame below {length}, got {uri}.",
                    next_step="Ask the graph for the segment's length.",
                )
            if not context:
                return file["energy"][frame]  # type: ignore[no-any-return]
            if "context" not in file:
                raise FieldError(
                    "NO_CONTEXT", f"expected context fields in {uri}, got none.", next_step="Read the frame itself."
                )
            return np.concatenate([file["context"][name][frame] for name in sorted(file["context"])], axis=-1)

    @contextmanager
    def _open(self, uri: str) -> Iterator[h5py.File]:
        path = self.path(uri)
        if path.suffix != ".h5":
            raise FieldError("BAD_URI", f"expected the uri of a segment, got {uri!r}.", next_step="Use read_array.")
        try:
            # files never change once they have their name: no lock is needed, and NFS often has none
            with h5py.File(path, "r", locking=False) as file:
                yield file
        except FileNotFoundError:
            raise self._missing(uri) from None
        except (OSError, KeyError, ValueError) as error:
            raise self._damaged(uri, error) from error

    def _is_whole(self, path: Path) -> bool:
        """A file that HDF5 finds complete; a cut-off one (disk full, bad copy) is written anew."""
        try:
            with h5py.File(path, "r", locking=False) as file:
                return segment_file.length(file) > 0
        except (OSError, KeyError):
            return False

    def _place(self, path: Path, write: Callable[[Path], object]) -> None:
        """Make `path` appear complete: write beside, flush to disk, rename, flush the directory."""
        temporary = self.root / "tmp" / temporary_name(path.suffix)
        try:
            with self._writing(path):
                temporary.parent.mkdir(parents=True, exist_ok=True)
                path.parent.mkdir(parents=True, exist_ok=True)
                write(temporary)
                flush(temporary)
                temporary.replace(path)
                flush(path.parent)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """A disk that is full or may not be written to is told in one line."""
        try:
            yield
        except OSError as error:
            raise FieldError(
                "STORE_UNWRITABLE",
                f"cannot write {path}: {' '.join(str(error).split())}.",
                next_step="Free space, or set FIELDGRAPH_STORE to a directory that you may write to.",
            ) from error

    def _missing(self, uri: str) -> FieldError:
        return FieldError(
            "FILE_MISSING",
            f"expected a file at {self.path(uri)}, found none.",
            next_step="Check FIELDGRAPH_STORE, or restore the store from a backup.",
        )

    def _damaged(self, uri: str, error: Exception) -> FieldError:
        reason = " ".join(str(error).split())
        return FieldError(
            "FILE_DAMAGED",
            f"cannot read {self.path(uri)}: {reason}.",
            next_step="Restore it from a backup, or delete it and ingest its source again.",
        )


def _touch(path: Path) -> None:
    """Make a file young again that somebody is about to refer to: an orphan is deleted by its age."""
    with contextlib.suppress(OSError):  # somebody else's file, or gone: its writer looks once more
        os.utime(path)
