"""Checkpoints are whole or not there: a full disk is one line and leaves what was before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nvp.errors import FieldError
from nvp.training import checkpoint
from tests.full_disk import full_disk


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    small, large = ({"a": rng.standard_normal(size).astype(np.float32)} for size in (4, 200_000))
    place = tmp_path / "best-00000001"
    checkpoint.write(place, {"kind": "test"}, small)
    with full_disk(100_000), pytest.raises(FieldError, match="expected to write the checkpoint") as refused:
        checkpoint.write(place, {"kind": "test"}, large)
    assert refused.value.code == "UNWRITABLE"
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == [place.name]
    np.testing.assert_array_equal(checkpoint.read(place)[1]["a"], small["a"])
    # there is room again
    checkpoint.write(place, {"kind": "test"}, large)
    np.testing.assert_array_equal(checkpoint.read(place)[1]["a"], large["a"])


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="expected a complete checkpoint") as refused:
        checkpoint.read(tmp_path / "none")
    assert "\n" not in str(refused.value)
