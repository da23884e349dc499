"""The atlas gives back what was saved, and says what is wrong with what it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pytest

from nvp.atlas.canonical import canonical_bytes
from nvp.atlas.maps.errors import BadData, BadScale, NotInAtlas
from nvp.atlas.maps.folder import Folder
from nvp.atlas.maps.loader import EnergyAtlasLoader
from nvp.atlas.maps.metadata import EnergyMapMetadata
from nvp.atlas.maps.shapes import SEEDS, validate_shape
from nvp.errors import FieldError

FLUID = "fluid_dynamics"
FORMATS = ("npy", "hdf5")
Format = Literal["npy", "hdf5"]


@pytest.fixture
def atlas(tmp_path: Path) -> EnergyAtlasLoader:
    return EnergyAtlasLoader(tmp_path / "atlas", domain=FLUID)


def some_map(seed: int = 0, shape: tuple[int, int] = (16, 24)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def fill(atlas: EnergyAtlasLoader, lengths: dict[str, int], format: Format, shape: tuple[int, int] = (8, 8)) -> None:
    """Sequences whose cells say where they come from: 1000·(number of the sequence) + step."""
    for number, (sequence, length) in enumerate(lengths.items()):
        energy = np.stack([np.full(shape, 1000 * number + step, np.float32) for step in range(length)])
        said = [
            EnergyMapMetadata.of(frame, domain=FLUID, sequence=sequence, step=step, source="synthetic")
            for step, frame in enumerate(energy)
        ]
        atlas.save_sequence(energy, said, format=format)


def test_an_atlas_begins_empty_and_needs_a_known_domain(tmp_path: Path) -> None:
    atlas = EnergyAtlasLoader(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(NotInAtlas, match="expected a domain, got none"):
        atlas.load_map(None, "a/0")
    with pytest.raises(KeyError, match="fluid_dynamics"):
        EnergyAtlasLoader(tmp_path, domain="alchemy")
    with pytest.raises(NotInAtlas, match="expected a sequence of 'fluid_dynamics'"):
        atlas.load_map(FLUID, "a/0")


@pytest.mark.parametrize("format", FORMATS)
def test_a_saved_map_comes_back(atlas: EnergyAtlasLoader, format: Format) -> None:
    energy = some_map()
    metadata = EnergyMapMetadata.of(
        energy, domain=FLUID, sequence="run", step=7, source="synthetic", seed=3,
        perturbations=({"name": "rotation", "angle_deg": 12.5},), timestamp="2020-01-01T00:00:00+00:00",
    )  # fmt: skip
    assert atlas.save_map(energy, FLUID, "run/7", metadata, format=format) == "run/0007"
    loaded, said = atlas.load_map(FLUID, "run/0007")
    np.testing.assert_array_equal(loaded, energy)
    assert loaded.dtype == np.float32
    assert said == metadata


def test_files_are_canonical_with_a_readable_sidecar(atlas: EnergyAtlasLoader) -> None:
    energy = some_map()
    atlas.save_map(energy.astype(float), None, "run/0")
    folder = atlas.folder.root / FLUID / "run"
    assert (folder / "0000.npy").read_bytes() == canonical_bytes(energy[..., None])
    assert json.loads((folder / "0000.json").read_text())["map_id"] == "run/0000"
    assert {path.name for path in folder.iterdir()} == {"0000.npy", "0000.json"}


def test_an_hdf5_sequence_has_a_chunk_per_frame(atlas: EnergyAtlasLoader) -> None:
    fill(atlas, {"run": 3}, "hdf5")
    with h5py.File(atlas.folder.root / FLUID / "run.hdf5") as file:
        assert file[f"{FLUID}/run/energy"].chunks == (1, 8, 8, 1)


@pytest.mark.parametrize("format", FORMATS)
def test_saving_again_updates_and_the_same_changes_nothing(atlas: EnergyAtlasLoader, format: Format) -> None:
    fill(atlas, {"run": 3}, format)

    def state() -> dict[Path, tuple[int, int]]:
        data = (path for path in atlas.folder.root.rglob("*") if path.is_file() and ".locks" not in path.parts)
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in data}

    before = state()
    energy, metadata = atlas.load_map(None, "run/1")
    atlas.save_map(energy, None, "run/1", metadata)
    assert state() == before
    other = some_map(1, (8, 8))
    atlas.save_map(other, None, "run/1", metadata)
    assert state() != before
    np.testing.assert_array_equal(atlas.load_map(None, "run/1")[0], other)
    assert atlas.load_map(None, "run/1")[1].energy_mean == pytest.approx(other.astype(float).mean())
    np.testing.assert_array_equal(atlas.load_map(None, "run/2")[0], np.full((8, 8), 2))


@pytest.mark.parametrize(
    "bad", ["../../etc/passwd/0", "..//0", "/etc/0", "a/b/0", "a", "a/", "a/x", "a/-1", ".cache/0", "a\n/0", "a/0\n"]
)  # fmt: skip
def test_no_id_leads_out_of_the_atlas(atlas: EnergyAtlasLoader, bad: str) -> None:
    for use in (lambda: atlas.load_map(FLUID, bad), lambda: atlas.save_map(some_map(), FLUID, bad)):
        with pytest.raises(NotInAtlas, match="map's id"):
            use()
    assert not atlas.folder.root.exists()


@pytest.mark.parametrize(
    ("energy", "code"),
    [
        (np.full((8, 8), np.nan), "BAD_VALUE"),
        (np.full((8, 8), np.inf), "BAD_VALUE"),
        (np.full((8, 8), 1e39), "BAD_VALUE"),
        (np.full((8, 8), -1.0), "BAD_VALUE"),
        (np.ones((8, 12)), "BAD_SHAPE"),
        (np.ones((8, 8, 2)), "BAD_SHAPE"),
        (np.ones((8, 8), complex), "BAD_SHAPE"),
        (np.ones(8), "BAD_SHAPE"),
    ],
)
def test_what_is_no_energy_is_refused_before_it_is_written(
    atlas: EnergyAtlasLoader, energy: np.ndarray, code: str
) -> None:
    with pytest.raises(FieldError) as caught:
        atlas.save_map(energy, None, "run/0")
    assert caught.value.code == code
    assert not atlas.folder.root.exists()


def test_signed_fields_may_be_negative(atlas: EnergyAtlasLoader) -> None:
    atlas.save_map(np.full((8, 8), -3.5), "surface_temperature", "run/0")
    assert atlas.load_map("surface_temperature", "run/0")[0].max() == -3.5


def spoil(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(content[:-40])
    elif how == "text":
        path.write_bytes(b"hello" * 100)
    elif how == "flipped":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif how == "pickle":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif how == "nan":
        np.save(path, np.full((8, 8, 1), np.nan, np.float32))
    elif how == "negative":
        np.save(path, np.full((8, 8, 1), -1, np.float32))
    elif how == "channels":
        np.save(path, np.ones((8, 8, 2), np.float32))


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("missing", "FILE_MISSING"), ("empty", "FILE_DAMAGED"), ("truncated", "FILE_DAMAGED"), ("text", "FILE_DAMAGED"),
        ("flipped", "FILE_CHANGED"), ("pickle", "FILE_DAMAGED"), ("nan", "BAD_VALUE"), ("negative", "BAD_VALUE"),
        ("channels", "BAD_SHAPE"),
    ],
)  # fmt: skip
def test_a_spoilt_map_is_named_and_can_be_saved_again(atlas: EnergyAtlasLoader, how: str, code: str) -> None:
    fill(atlas, {"run": 3}, "npy")
    energy, metadata = atlas.load_map(None, "run/1")
    path = atlas.folder.root / FLUID / "run" / "0001.npy"
    spoil(path, how)
    with pytest.raises(BadData) as caught:
        atlas.load_map(None, "run/1")
    assert caught.value.code == code
    assert str(path) in str(caught.value)
    atlas.load_map(None, "run/2")
    atlas.save_map(energy, None, "run/1", metadata)
    atlas.load_map(None, "run/1")


@pytest.mark.parametrize(
    ("how", "code"),
    [("empty", "FILE_DAMAGED"), ("truncated", "FILE_DAMAGED"), ("text", "FILE_DAMAGED")],
)
def test_a_spoilt_hdf5_sequence_is_named(atlas: EnergyAtlasLoader, how: str, code: str) -> None:
    fill(atlas, {"run": 3}, "hdf5")
    path = atlas.folder.root / FLUID / "run.hdf5"
    atlas.load_map(None, "run/1")
    spoil(path, how)
    with pytest.raises(BadData) as caught:
        atlas.load_map(None, "run/1")
    assert caught.value.code == code
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, -1.0, 7.0])
def test_values_changed_within_hdf5_are_found(atlas: EnergyAtlasLoader, value: float) -> None:
    fill(atlas, {"run": 3}, "hdf5")
    path = atlas.folder.root / FLUID / "run.hdf5"
    with h5py.File(path, "r+") as file:
        file[f"{FLUID}/run/energy"][1, 2, 3] = value
    with pytest.raises(BadData, match=f"{path}") as caught:
        atlas.load_map(None, "run/1")
    assert caught.value.code == ("FILE_CHANGED" if value == 7 else "BAD_VALUE")


def test_a_map_without_its_sidecar_is_not_in_the_atlas_yet(atlas: EnergyAtlasLoader) -> None:
    fill(atlas, {"run": 3}, "npy")
    (atlas.folder.root / FLUID / "run" / "0001.json").unlink()
    with pytest.raises(NotInAtlas, match="one of the 2 steps"):
        atlas.load_map(None, "run/1")


def test_a_sidecar_of_another_map_is_refused(atlas: EnergyAtlasLoader) -> None:
    fill(atlas, {"run": 3}, "npy")
    folder = atlas.folder.root / FLUID / "run"
    (folder / "0001.json").write_bytes((folder / "0002.json").read_bytes())
    with pytest.raises(BadData, match=r"0001\.json"):
        atlas.load_map(None, "run/1")


def test_one_sequence_has_one_format_and_one_grid(atlas: EnergyAtlasLoader) -> None:
    fill(atlas, {"run": 2, "whole": 2}, "npy")
    with pytest.raises(FieldError, match="go on as npy"):
        atlas.save_map(some_map(0, (8, 8)), None, "run/5", format="hdf5")
    with pytest.raises(BadData, match="rest of sequence"):
        atlas.save_map(some_map(0, (8, 16)), None, "run/5")


def test_coarser_scales_are_area_means(atlas: EnergyAtlasLoader) -> None:
    energy = some_map(0, (16, 48))
    atlas.save_map(energy, None, "run/0")
    loaded, metadata = atlas.load_map(None, "run/0", 8)
    np.testing.assert_allclose(loaded, energy.reshape(8, 2, 24, 2).mean((1, 3)), rtol=1e-6)
    assert metadata.shape == (16, 48)
    assert atlas.load_map(None, "run/0", (16, 24))[0].shape == (16, 24)
    assert EnergyAtlasLoader(atlas.folder.root, FLUID, 8).load_map(None, "run/0")[0].shape == (8, 24)
    bad: Any
    for bad in (0, -8, 12, 7, 32, True, (8, 20), (32, 48)):
        with pytest.raises(BadScale):
            atlas.load_map(None, "run/0", bad)
    with pytest.raises(ValueError, match="finer"):
        atlas.load_map(None, "run/0", 32)


@pytest.mark.parametrize("format", FORMATS)
def test_windows_come_in_order_and_within_their_sequence(atlas: EnergyAtlasLoader, format: Format) -> None:
    fill(atlas, {"a": 10, "b": 10}, format)
    batch, metadata = atlas.load_batch(window=4, stride=3)
    assert batch.shape == (6, 4, 8, 8)
    said = [[1000 * number + start + t for t in range(4)] for number in (0, 1) for start in (0, 3, 6)]
    np.testing.assert_array_equal(batch[:, :, 3, 5], said)
    assert [[one.map_id for one in frames] for frames in metadata][4] == ["b/0003", "b/0004", "b/0005", "b/0006"]
    # by default windows lie side by side
    assert len(atlas.load_batch()[0]) == 2
    assert atlas.load_batch(window=11)[0].shape[0] == 0
    assert atlas.load_batch(window=4, scale=(8, 8))[0].shape == (4, 4, 8, 8)


def test_energy_batches_have_time_last_and_labels(atlas: EnergyAtlasLoader) -> None:
    fill(atlas, {"a": 10, "b": 10}, "npy", (16, 16))
    batch, labels = atlas.load_energy_batch(FLUID, 8, 5)
    assert batch.shape == (4, 8, 8, 5)
    assert not batch.flags.owndata
    np.testing.assert_array_equal(batch[2, 3, 4], [1000, 1001, 1002, 1003, 1004])
    assert sorted(labels) == ["entropy", "map_id", "regime", "t", "timestamps"]
    assert labels["map_id"][3][4] == "b/0009"
    # sequence a begins with a field of zeros, which has no entropy; all others are uniform
    assert labels["entropy"][0][0] is None
    assert labels["entropy"][0][1] == pytest.approx(np.log(256))


def test_batches_read_only_the_frames_they_need(atlas: EnergyAtlasLoader) -> None:
    fill(atlas, {"a": 10}, "npy")
    windows = atlas.windows(window=2)
    for step in (0, 1, 4, 5, 6, 7, 8, 9):
        (atlas.folder.root / FLUID / "a" / f"{step:04d}.npy").unlink()
    np.testing.assert_array_equal(windows[1][:, 0, 0], [2, 3])
    with pytest.raises(BadData, match=r"0004\.npy"):
        windows[2]


def test_bad_windows_and_mixed_grids_are_refused(atlas: EnergyAtlasLoader) -> None:
    fill(atlas, {"a": 4}, "npy")
    fill(atlas, {"b": 4}, "hdf5", (16, 16))
    for window, stride in ((0, 1), (2, 0), (2, -1)):
        with pytest.raises(FieldError, match="window"):
            atlas.load_batch(window=window, stride=stride)
    with pytest.raises(BadData, match="one grid"):
        atlas.load_batch(window=2)
    assert atlas.load_batch(window=2, scale=8)[0].shape == (4, 2, 8, 8)


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_batches_of_hdf5_refuse_bad_values_and_see_replaced_files(atlas: EnergyAtlasLoader, value: float) -> None:
    fill(atlas, {"a": 4}, "hdf5")
    windows = atlas.windows(window=2)
    np.testing.assert_array_equal(windows[1][:, 0, 0], [2, 3])
    path = atlas.folder.root / FLUID / "a.hdf5"
    changed = path.with_suffix(".new")
    changed.write_bytes(path.read_bytes())
    with h5py.File(changed, "r+") as file:
        file[f"{FLUID}/a/energy"][3, 2, 1] = value
    changed.replace(path)
    assert windows[0].shape == (2, 8, 8)
    with pytest.raises(BadData, match=r"a\.hdf5.*frame 3"):
        windows[1]


def test_domain_stats_are_those_of_all_cells(atlas: EnergyAtlasLoader) -> None:
    maps = [some_map(k, shape) for k, shape in enumerate([(8, 8), (8, 8), (16, 24)])]
    for k, energy in enumerate(maps):
        atlas.save_map(energy, None, f"s{k // 2}/{k % 2}", source="synthetic")
    stats = atlas.get_domain_stats(FLUID)
    cells = np.concatenate([energy.ravel() for energy in maps]).astype(float)
    assert (stats["count"], stats["sequences"], stats["bytes"]) == (3, 2, 4 * len(cells))
    assert stats["shapes"] == [(8, 8), (16, 24)]
    assert stats["energy_mean"] == pytest.approx(cells.mean(), rel=1e-12)
    assert stats["energy_variance"] == pytest.approx(cells.var(), rel=1e-12)
    assert stats["t"] == (0.0, pytest.approx(2.1))
    assert stats["sources"] == {"synthetic": 3}
    assert sum(stats["regimes"].values()) == 3
    with pytest.raises(NotInAtlas):
        atlas.get_domain_stats("surface_temperature")
    with pytest.raises(NotInAtlas):
        atlas.get_domain_stats("alchemy")


def test_entropy_is_shannons_and_only_for_energies(atlas: EnergyAtlasLoader) -> None:
    assert atlas.compute_entropy(np.full((256, 256), 3.0)) == pytest.approx(11.090, abs=5e-4)
    one_hot = np.zeros((8, 8))
    one_hot[2, 3] = 5
    assert atlas.compute_entropy(one_hot) == 0
    halves = np.zeros((8, 8), np.float32)
    halves[0, 0], halves[1, 1] = 1, 3
    assert atlas.compute_entropy(halves) == pytest.approx(-0.25 * np.log(0.25) - 0.75 * np.log(0.75))
    for bad in (np.zeros((8, 8)), -one_hot, np.full((8, 8), np.nan)):
        with pytest.raises(BadData, match="energies only"):
            atlas.compute_entropy(bad)


def test_shapes_are_multiples_of_8_and_the_seeds_list_is_a_preset(atlas: EnergyAtlasLoader) -> None:
    for shape in ((64, 64), (128, 384), (384, 128), (8, 8), (256, 384), (64, 64, 1)):
        assert atlas.validate_shape(np.ones(shape))
    for shape in ((64, 60), (4, 4), (0, 8), (64,), (64, 64, 2), (1, 64, 64)):
        assert not atlas.validate_shape(np.ones(shape))
    assert validate_shape((128, 384), preset=SEEDS)
    assert validate_shape((256, 384), preset=SEEDS)
    assert not validate_shape((384, 128), preset=SEEDS)
    assert not validate_shape((512, 512), preset=SEEDS)


def test_a_writer_that_dies_between_two_files_leaves_no_map(
    atlas: EnergyAtlasLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, placed = Folder.place, []

    def once(self: Folder, path: Path, content: bytes) -> None:
        if placed:
            raise KeyboardInterrupt
        placed.append(path)
        place(self, path, content)

    monkeypatch.setattr(Folder, "place", once)
    with pytest.raises(KeyboardInterrupt):
        atlas.save_map(some_map(), None, "run/0")
    # the map itself is there, but what makes it one of the atlas is not
    assert placed[0].is_file()
    assert atlas.folder.sequences(FLUID) == []
    monkeypatch.undo()
    atlas.save_map(some_map(), None, "run/0")
    assert atlas.folder.sequences(FLUID) == ["run"]
