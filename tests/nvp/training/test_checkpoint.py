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


def test_the_same_again_leaves_the_files_that_somebody_may_be_reading(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"a": rng.standard_normal(4).astype(np.float32)}
    place = tmp_path / "best-00000001"
    digest = checkpoint.write(place, {"kind": "test", "step": 1}, arrays)

    def files() -> dict[Path, int]:
        return {path: path.stat().st_ino for path in [place, *place.rglob("*")]}

    before = files()
    assert checkpoint.write(place, {"kind": "test", "step": 1}, arrays) == digest
    assert files() == before
    # other facts, and files that are not whole any more, are written anew
    assert checkpoint.write(place, {"kind": "test", "step": 2}, arrays) == digest
    assert checkpoint.read(place)[0]["step"] == 2
    damaged = next(path for path in (place / "arrays").rglob("*") if path.is_file())
    damaged.write_bytes(b"")
    assert checkpoint.write(place, {"kind": "test", "step": 2}, arrays) == digest
    np.testing.assert_array_equal(checkpoint.read(place)[1]["a"], arrays["a"])
    assert [path.name for path in tmp_path.iterdir()] == [place.name]


def test_killed_at_any_rename_one_of_the_two_is_there_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a crash leaves: nothing was deleted before the new one has its place."""
    place = tmp_path / "best-00000001"
    old, new = ({"a": np.full(4, value, np.float32)} for value in (1.0, 2.0))
    checkpoint.write(place, {"kind": "test"}, old)
    rename, seen = Path.rename, []

    def watched(path: Path, target: Path) -> Path:
        # the old one in its place or beside it, and the new one: each can be read
        whole = {float(checkpoint.read(one)[1]["a"][0]) for one in tmp_path.iterdir() if (one / "config.json").exists()}
        seen.append(whole)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", watched)
    checkpoint.write(place, {"kind": "test"}, new)
    assert seen[-2:] == [{1.0, 2.0}, {1.0, 2.0}]
    # a new one that cannot take the place leaves the old one in it

    def refused(path: Path, target: Path) -> Path:
        if target == place and not path.name.endswith(".before"):
            raise OSError("no more room for names")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(FieldError, match="no more room for names"):
        checkpoint.write(place, {"kind": "test"}, old)
    assert checkpoint.read(place)[1]["a"][0] == 2.0
    assert [path.name for path in tmp_path.iterdir()] == [place.name]


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="expected a complete checkpoint") as refused:
        checkpoint.read(tmp_path / "none")
    assert "\n" not in str(refused.value)
