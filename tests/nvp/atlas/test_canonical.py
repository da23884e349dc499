"""Canonical bytes are exactly what `numpy.save` writes, whatever the array's layout and dtype."""

import hashlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nvp.atlas.canonical import as_stored, canonical_bytes, digest, digests, parameters_digest
from nvp.errors import FieldError

FLOATS = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=0, max_dims=4, max_side=5), elements=st.floats(width=32, allow_nan=True)
)


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array(array, dtype="<f4", order="C"))
    return buffer.getvalue()


@settings(max_examples=60, deadline=None)
@given(FLOATS)
def test_bytes_are_those_of_numpy_save(array: np.ndarray) -> None:
    assert canonical_bytes(array) == saved(array)
    assert digest(array) == hashlib.sha256(saved(array)).hexdigest()


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.float32, (3, 4, 2), elements=st.floats(width=32)))
def test_layout_and_byte_order_do_not_count(array: np.ndarray) -> None:
    for other in (np.asfortranarray(array), array.astype(">f4"), array.astype(np.float64), array[::-1][::-1]):
        assert canonical_bytes(other) == canonical_bytes(array)


def test_digests_are_those_of_each_by_itself() -> None:
    arrays = np.random.default_rng(0).random((5, 8, 16, 1), dtype=np.float32)
    assert digests(arrays) == tuple(hashlib.sha256(saved(array)).hexdigest() for array in arrays)


def test_shape_counts() -> None:
    assert digest(np.zeros((8, 16), np.float32)) != digest(np.zeros((16, 8), np.float32))


def test_stored_arrays_are_not_copied() -> None:
    array = np.zeros((4, 4), np.float32)
    assert as_stored(array) is array


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(FieldError, match="real numbers"):
        canonical_bytes(np.zeros(3, complex))


def test_digest_depends_on_path_value_and_shape_only() -> None:
    a = {"x": np.arange(4, dtype=np.float32), "y": np.zeros((2, 2), np.float32)}
    digest = parameters_digest(a)
    assert digest == parameters_digest(dict(reversed(a.items())))
    assert digest != parameters_digest({**a, "x": a["x"] + 1})
    assert digest != parameters_digest({"x": a["x"].reshape(2, 2), "y": a["y"]})
    assert digest != parameters_digest({"z": a["x"], "y": a["y"]})
    # what float32 would hide is another parameter
    fine = {"w": np.array([1.0])}
    assert parameters_digest(fine) != parameters_digest({"w": fine["w"] + 1e-12})
