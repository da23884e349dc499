"""Windows, whatever the sequences: consecutive steps of one of them, each exactly once; and many who write at once."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvp.atlas.maps.errors import BadData, NotInAtlas
from nvp.atlas.maps.loader import EnergyAtlasLoader
from nvp.atlas.maps.metadata import EnergyMapMetadata
from nvp.atlas.maps.windows import starts, time_last

DOMAIN = "fluid_dynamics"


@settings(max_examples=200, deadline=None)
@given(
    steps=st.sets(st.integers(0, 30)).map(sorted),
    length=st.integers(1, 6),
    stride=st.integers(1, 6),
)
def test_windows_are_consecutive_steps_every_stride(steps: list[int], length: int, stride: int) -> None:
    found = starts(np.array(steps, np.int64), length, stride)
    assert found == sorted(set(found))
    for start in found:
        assert steps[start : start + length] == list(range(steps[start], steps[start] + length))
    # with stride 1 there is one for each run of `length` steps, and any stride takes the first of each stretch
    every = starts(np.array(steps, np.int64), length, 1)
    assert [steps[k] for k in every] == [s for s in steps if set(range(s, s + length)) <= set(steps)]
    first = [k for k in every if steps[k] - 1 not in steps]
    assert set(first) <= set(found) <= set(every)


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    gap=st.integers(0, 9),
    formats=st.lists(st.sampled_from(["npy", "hdf5"]), min_size=4, max_size=4),
    window=st.integers(1, 5),
    stride=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_no_window_crosses_a_sequence(
    lengths: list[int], gap: int, formats: list[str], window: int, stride: int, seed: int
) -> None:
    with tempfile.TemporaryDirectory() as root:
        atlas = EnergyAtlasLoader(root, DOMAIN)
        for number, length in enumerate(lengths):
            # one step may be missing: a gap within a sequence
            steps = [step for step in range(length + 1) if step != gap][:length]
            energy = np.stack([np.full((8, 8), 100 * number + step, np.float32) for step in steps])
            said = [
                EnergyMapMetadata.of(e, domain=DOMAIN, sequence=f"s{number}", step=step, source="synthetic")
                for e, step in zip(energy, steps, strict=True)
            ]
            atlas.save_sequence(energy, said, format=formats[number])  # type: ignore[arg-type]
        windows = atlas.windows(window=window, stride=stride)
        order = np.random.default_rng(seed).permutation(len(windows))
        batch = windows.batch(order)
        for values, number in zip(batch, order.tolist(), strict=True):
            labels = values[:, 0, 0].astype(int)
            np.testing.assert_array_equal(labels, labels[0] + np.arange(window))
            assert len(set(labels // 100)) == 1
            said = [(int(one.sequence[1:]), one.step) for one in windows.metadata(number)]
            assert said == [divmod(label, 100) for label in labels.tolist()]


def test_time_last_is_a_view() -> None:
    batch = np.arange(2 * 3 * 8 * 8, dtype=np.float32).reshape(2, 3, 8, 8)
    assert time_last(batch).shape == (2, 8, 8, 3)
    assert np.shares_memory(time_last(batch), batch)
    assert time_last(batch)[1, 2, 5, 0] == batch[1, 0, 2, 5]


_WRITER = """
import sys
import numpy as np
from nvp.atlas.maps.errors import BadData, NotInAtlas
from nvp.atlas.maps.loader import EnergyAtlasLoader
root, number = sys.argv[1], int(sys.argv[2])
atlas = EnergyAtlasLoader(root, "fluid_dynamics")
for round in range(3):
    for format in ("npy", "hdf5"):
        for step in range(2):
            atlas.save_map(np.full((16, 16), 1.0 + number + 10 * round), None, f"{format}/{step}", format=format)
        atlas.save_map(np.full((16, 16), 7.0), None, f"{format}/{10 + 2 * number}", format=format)
"""


def test_eight_processes_may_write_one_sequence_at_once(tmp_path: Path) -> None:
    atlas, loaded = EnergyAtlasLoader(tmp_path, DOMAIN), Counter[str]()
    with ExitStack() as stack:
        writers = [
            stack.enter_context(subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path), str(number)]))
            for number in range(8)
        ]
        while any(writer.poll() is None for writer in writers):
            for sequence in ("npy", "hdf5"):
                # map and metadata are of the same writer at any time, else this raises
                with suppress(NotInAtlas):
                    energy, metadata = atlas.load_map(None, f"{sequence}/0")
                    assert energy.min() == energy.max() == metadata.energy_mean
                    loaded[sequence] += 1
    assert [writer.returncode for writer in writers] == [0] * 8
    assert len(loaded) == 2
    for one in atlas.sequences():
        assert one.steps.tolist() == [0, 1, *range(10, 26, 2)]
        for step in one.steps.tolist():
            energy, metadata = one.frame(step)
            assert metadata.energy_mean == energy[0, 0, 0]
    assert not list((tmp_path / ".tmp").iterdir())


def test_windows_of_a_sequence_that_grows_say_so(tmp_path: Path) -> None:
    atlas = EnergyAtlasLoader(tmp_path, DOMAIN)
    for step in (3, 4):
        atlas.save_map(np.full((8, 8), step), None, f"run/{step}", format="hdf5")
    windows = atlas.windows(window=2)
    atlas.save_map(np.full((8, 8), 5), None, "run/4")
    np.testing.assert_array_equal(windows[0][:, 0, 0], [3, 5])
    assert windows.metadata(0)[1].energy_mean == 5
    atlas.save_map(np.full((8, 8), 2), None, "run/2")
    with pytest.raises(BadData, match="windows again"):
        windows[0]
    assert len(atlas.windows(window=3)) == 1


def test_threads_read_while_files_are_opened_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nvp.atlas.maps.reader._MOST", 2)
    atlas = EnergyAtlasLoader(tmp_path, DOMAIN)
    for number in range(5):
        energy = np.stack([np.full((8, 8), 10 * number + step, np.float32) for step in range(4)])
        said = [
            EnergyMapMetadata.of(e, domain=DOMAIN, sequence=f"s{number}", step=step, source="synthetic")
            for step, e in enumerate(energy)
        ]
        atlas.save_sequence(energy, said, format="hdf5")
    windows = atlas.windows(window=2, stride=1)
    whole = windows.batch(np.arange(len(windows)))

    def read(seed: int) -> bool:
        order = np.random.default_rng(seed).permutation(len(windows))
        return bool((windows.batch(order) == whole[order]).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(12)))
