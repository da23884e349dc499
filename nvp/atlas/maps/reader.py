"""Reading frames: only what is asked for, straight into the caller's array.

HDF5 files stay open, a few per process: opening one costs more than reading a window of it. A file that was replaced
meanwhile is opened anew, and a process that was forked opens its own. Values are checked (finite, and not negative
where they are an energy) whenever a frame is read for the first time.
"""

from __future__ import annotations

import io
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from jaxtyping import Float32

from nvp.atlas.canonical import as_stored
from nvp.atlas.maps.errors import BadData
from nvp.errors import FieldError

# open files at most: HDF5 keeps a megabyte of chunks for each
_MOST = 64

_RESTORE = "Restore it from a backup, or make it again."


class Frames:
    """A dataset (T, H, W, 1) of an open file, chunk = frame."""

    def __init__(self, file: h5py.File, name: str) -> None:
        self.values = file[name]
        self.shape: tuple[int, ...] = self.values.shape
        # frames whose values were checked
        self.checked = np.zeros(self.shape[:1], bool)
        self.offsets = _plain_chunks(file, self.values)
        self.descriptor = file.id.get_vfd_handle() if self.offsets is not None else -1

    def read(self, start: int, out: Float32[np.ndarray, "t h w 1"]) -> None:
        """Fill `out` with the frames from `start`."""
        if self.offsets is None or not out.flags.c_contiguous:
            out[...] = self.values[start : start + len(out)]
            return
        # plain chunks are the frames' own bytes: neighbours on disk are one call, without HDF5's bookkeeping
        wanted, k = self.offsets[start : start + len(out)], 0
        while k < len(out):
            n = 1
            while k + n < len(out) and wanted[k + n] == wanted[k] + n * out[0].nbytes:
                n += 1
            part = out[k : k + n].data.cast("B")
            done = os.preadv(self.descriptor, [part], wanted[k])
            if done != len(part):
                raise OSError(f"expected {len(part)} bytes at {wanted[k]}, got {done}")
            k += n


def _plain_chunks(file: h5py.File, values: h5py.Dataset) -> list[int] | None:
    """Where each frame's bytes lie in the file; None where they are not there as they are (compressed, other type)."""
    native = values.dtype == np.dtype(np.float32) and values.chunks == (1, *values.shape[1:])
    if not native or values.id.get_create_plist().get_nfilters() or file.userblock_size or not hasattr(os, "preadv"):
        return None
    places: dict[int, int] = {}

    def note(chunk: Any) -> None:
        places[chunk.chunk_offset[0]] = chunk.byte_offset

    values.id.chunk_iter(note)
    # a frame that was never written has no chunk
    return [places[k] for k in range(len(values))] if len(places) == len(values) else None


class Opened(NamedTuple):
    """An open file and what identifies its content on disk."""

    state: tuple[int, int, int]
    file: h5py.File
    frames: dict[str, Frames]


_opened: OrderedDict[Path, Opened] = OrderedDict()
_lock = threading.RLock()
# what a parent process had open: closing it here would disturb nothing, but HDF5 is not made for forks
_inherited: list[Any] = []


def _forget() -> None:
    global _opened, _lock
    _inherited.append(_opened)
    _opened, _lock = OrderedDict(), threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def read_hdf5(path: Path, dataset: str, start: int, out: Float32[np.ndarray, "t h w 1"], *, signed: bool) -> None:
    """Fill `out` with consecutive frames from `start` of a dataset (T, H, W, 1)."""
    with_file(path, lambda opened: read_opened(opened, path, dataset, start, out, signed=signed))


def read_opened(
    opened: Opened, path: Path, dataset: str, start: int, out: Float32[np.ndarray, "t h w 1"], *, signed: bool
) -> None:
    """The same out of a file that is open; `path` is its name in errors."""
    frames = opened.frames.get(dataset)
    if frames is None:
        frames = opened.frames[dataset] = Frames(opened.file, dataset)
    stop = start + len(out)
    if frames.shape[1:] != out.shape[1:] or stop > frames.shape[0]:
        raise BadData(
            "BAD_SHAPE",
            f"expected {out.shape} from frame {start} of {dataset} in {path}, got {frames.shape} in all.",
            next_step=_RESTORE,
        )
    frames.read(start, out)
    if not frames.checked[start:stop].all():
        check_values(out, path, start, signed=signed)
        frames.checked[start:stop] = True


def with_file(path: Path, work: Callable[[Opened], Any]) -> Any:
    """What `work` makes of the open file; raises `BadData` naming `path` where it is missing or damaged."""
    # HDF5 works for one thread at a time anyway, and no file may be closed under another's hands
    with _lock:
        try:
            status = path.stat()
            state = (status.st_ino, status.st_mtime_ns, status.st_size)
            known = _opened.get(path)
            if known is None or known.state != state:
                close(path)
                known = _opened[path] = Opened(state, h5py.File(path, "r", locking=False), {})
                while len(_opened) > _MOST:
                    close(next(iter(_opened)))
            else:
                _opened.move_to_end(path)
            return work(known)
        except FileNotFoundError:
            raise missing(path) from None
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            if isinstance(error, FieldError):
                raise
            close(path)
            raise damaged(path, error) from error


def close(path: Path) -> None:
    """Close the file if it is open."""
    with _lock:
        known = _opened.pop(path, None)
        if known is not None:
            known.file.close()


def read_npy(path: Path, *, signed: bool) -> Float32[np.ndarray, "h w 1"]:
    """One map as it is kept, whatever real type the file has; (H, W) means one channel."""
    try:
        # read whole and then decode: np.load keeps the file open when it fails
        values = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except FileNotFoundError:
        raise missing(path) from None
    except Exception as error:
        # a garbled header raises what its parser raises
        raise damaged(path, error) from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise BadData("BAD_DTYPE", f"expected an array of numbers in {path}, got {values!r:.60}.", next_step=_RESTORE)
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] != 1 or 0 in values.shape:
        raise BadData(
            "BAD_SHAPE", f"expected one map (H, W) or (H, W, 1) in {path}, got {values.shape}.", next_step=_RESTORE
        )
    # what float32 does not hold becomes infinite, which the check reports
    with np.errstate(over="ignore"):
        stored = as_stored(values)
    check_values(stored[None], path, None, signed=signed)
    return stored


def check_values(frames: Float32[np.ndarray, "t h w 1"], place: Path | str, first: int | None, *, signed: bool) -> None:
    """Refuse NaN, infinity and, unless `signed`, negative values; names `place`, the frame and the cell."""
    # two passes and no mask where all is well; NaN fails every comparison
    low, high = frames.min(), frames.max()
    if low >= (-np.inf if signed else 0) and np.isfinite(low) and high < np.inf:
        return
    bad = ~np.isfinite(frames)
    expected = "finite numbers"
    if not bad.any():
        bad, expected = frames < 0, "an energy of at least 0"
    t, y, x, c = (int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))
    frame = "" if first is None else f"frame {first + t}, "
    raise BadData(
        "BAD_VALUE",
        f"expected {expected} in {place}, got {frames[t, y, x, c]} at {frame}(y={y}, x={x}).",
        next_step="Fill, cut or shift the field, then save it again.",
    )


def missing(path: Path) -> BadData:
    """The error for a file that should be there."""
    return BadData("FILE_MISSING", f"expected a file at {path}, found none.", next_step=_RESTORE)


def damaged(path: Path, error: Exception) -> BadData:
    """The error for a file that cannot be read."""
    return BadData("FILE_DAMAGED", f"cannot read {path}: {' '.join(str(error).split())[:300]}.", next_step=_RESTORE)
