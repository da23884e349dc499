"""The cache of compiled programs: apart by version and machine, bounded, and never in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from nvp.prediction import cache

COMPILE = "import jax; jax.jit(lambda x: x * {} + 1)(1.0).block_until_ready()"


def entries(root: Path) -> set[str]:
    return {path.name for path in root.rglob("*-cache")}


def test_folders_of_others_are_left_alone_until_they_are_stale(tmp_path: Path) -> None:
    place = Path(cache.environment(tmp_path)["JAX_COMPILATION_CACHE_DIR"])
    assert place.name.startswith(version("jaxlib"))
    fresh, stale, unmarked = (place.parent / name for name in ("0.1-fresh", "0.1-stale", "0.0"))
    for other in (fresh, stale, unmarked):
        other.mkdir()
        (other / "program-cache").write_bytes(b"x")
    (fresh / "used").touch()
    (stale / "used").touch()
    for old in (stale / "used", unmarked):
        os.utime(old, (0, 0))
    cache.environment(tmp_path)
    assert sorted(path.name for path in place.parent.iterdir()) == ["0.1-fresh", place.name]


def test_another_processor_has_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = cache.environment(tmp_path)["JAX_COMPILATION_CACHE_DIR"]
    monkeypatch.setattr("platform.machine", lambda: "another")
    assert cache.environment(tmp_path)["JAX_COMPILATION_CACHE_DIR"] != ours


def test_a_root_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert cache.environment(tmp_path / "file")["JAX_COMPILATION_CACHE_DIR"].startswith(str(tmp_path))


def test_what_the_user_has_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in cache.environment(tmp_path):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "mine")
    cache.use(tmp_path)
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "mine"
    assert os.environ["JAX_COMPILATION_CACHE_MAX_SIZE"] == str(cache.LARGEST_BYTES)


def test_a_second_process_compiles_nothing_and_the_size_is_bounded(tmp_path: Path) -> None:
    environment = os.environ | cache.environment(tmp_path) | {"JAX_PLATFORMS": "cpu"}

    def compiled(number: int) -> int:
        """Bytes of all programs afterwards."""
        code = COMPILE.format(number)
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)
        return sum(path.stat().st_size for path in tmp_path.rglob("*-cache"))

    size = compiled(2)
    first = entries(tmp_path)
    assert (compiled(2), entries(tmp_path)) == (size, first)
    # no room for the programs of both: the older ones go
    environment["JAX_COMPILATION_CACHE_MAX_SIZE"] = str(size + size // 2)
    assert 0 < compiled(3) <= size + size // 2
    assert not first <= entries(tmp_path)
