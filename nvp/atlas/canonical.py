"""Canonical bytes: one array, one sequence of bytes, one sha256, on every machine.

The canonical form is what `numpy.save` writes (format 1.0) for little-endian float32 in C order. It is what
`GET /arrays/{sha256}` returns, so that any client with NumPy can read it and anybody with a hash can check it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32, Shaped

from nvp.errors import FieldError

STORED = np.dtype("<f4")


def as_stored(array: Shaped[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """The array as it is kept: little-endian float32, C order; no copy where it is that already."""
    if array.dtype.kind not in "fiub":
        raise FieldError(
            "BAD_DTYPE",
            f"expected an array of real numbers, got dtype {array.dtype}.",
            next_step="Store real and imaginary parts apart, and text not at all.",
        )
    stored = np.asarray(array, dtype=STORED)
    return stored if stored.flags.c_contiguous else np.ascontiguousarray(stored)


def canonical_bytes(array: Shaped[np.ndarray, "..."]) -> bytes:
    """The `.npy` file that stands for `array`, header included."""
    stored = as_stored(array)
    return _header(stored.shape) + stored.tobytes()


def digest(array: Shaped[np.ndarray, "..."]) -> str:
    """sha256 of the canonical bytes, in hexadecimal."""
    return digests(array[None])[0]


def digests(arrays: Shaped[np.ndarray, "n ..."]) -> tuple[str, ...]:
    """sha256 of each `arrays[i]` by itself."""
    stored = as_stored(arrays)
    # all have one shape, hence one header: hash it once and continue from there
    start = hashlib.sha256(_header(stored.shape[1:]))
    found = []
    for array in stored:
        state = start.copy()
        state.update(array.data)
        found.append(state.hexdigest())
    return tuple(found)


def parameters_digest(arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> str:
    """sha256 over path, type, shape and little-endian bytes of each array, in path order; each in the type it has."""
    state = hashlib.sha256()
    for path in sorted(arrays):
        values = np.ascontiguousarray(arrays[path])
        state.update(f"{path}\0{values.dtype.str.lstrip('<>=|')}\0{values.shape}\0".encode())
        state.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
    return state.hexdigest()


def _header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": STORED.str, "fortran_order": False, "shape": shape})
    return buffer.getvalue()
