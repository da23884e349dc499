"""The catalog of a folder atlas: every change since it was written has a name."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest

from nvp.atlas import catalog
from nvp.atlas.canonical import digest
from nvp.atlas.catalog import Defect, Entry
from nvp.atlas.maps.loader import EnergyAtlasLoader
from nvp.atlas.maps.metadata import EnergyMapMetadata
from nvp.errors import FieldError

RNG = np.random.default_rng(0)


def maps(domain: str, sequence: str, steps: int) -> tuple[np.ndarray, list[EnergyMapMetadata]]:
    energy = RNG.random((steps, 16, 16)).astype(np.float32)
    said = [
        EnergyMapMetadata.of(field, domain=domain, sequence=sequence, step=step, source="synthetic")
        for step, field in enumerate(energy)
    ]
    return energy, said


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sequences of maps and one HDF5 file."""
    atlas = EnergyAtlasLoader(tmp_path / "atlas")
    for domain, sequence in (("fluid_dynamics", "a"), ("fluid_dynamics", "b")):
        for energy, metadata in zip(*maps(domain, sequence, 3), strict=True):
            atlas.folder.write_npy(energy[..., None], metadata)
    energy, metadata = maps("surface_temperature", "c", 4)
    atlas.folder.write_hdf5(energy[..., None], metadata)
    return tmp_path / "atlas"


def entries(root: Path) -> list[Entry]:
    found = list(catalog.scan(root))
    assert not [one for one in found if isinstance(one, Defect)]
    return [one for one in found if isinstance(one, Entry)]


def verify(root: Path) -> list[tuple[str, str]]:
    seen = list(catalog.scan(root))
    found = {one.path: one for one in seen if isinstance(one, Entry)}
    defects = catalog.compare(catalog.read(root), found, [one for one in seen if isinstance(one, Defect)])
    assert all("\n" not in defect.detail for defect in defects)
    return [(defect.kind, defect.uri) for defect in defects]


def test_what_a_catalog_says(root: Path) -> None:
    said = catalog.write(root, entries(root))
    assert json.loads((root / "catalog.json").read_text()) == json.loads(json.dumps(said))
    assert datetime.fromisoformat(said["generated_at"]).utcoffset() == timedelta(0)
    assert said["stats"] | {"domains": 0} == {
        "total_maps": 10,
        "total_bytes": 10 * 16 * 16 * 4,
        "total_size_mib": round(10 * 16 * 16 * 4 / 2**20, 3),
        "domains": 0,
    }
    assert list(said["stats"]["domains"]) == ["fluid_dynamics", "surface_temperature"]
    by_path = {item["path"]: item for item in said["maps"]}
    first = by_path["fluid_dynamics/a/0001.npy"]
    values = np.load(root / first["path"])
    assert first["sha256"] == digest(values)
    assert first["sha16"] == first["sha256"][:16]
    assert (first["format"], first["dtype"], tuple(first["shape"])) == ("npy", "float32", (16, 16))
    assert first["mean"] == pytest.approx(values.mean(dtype=float))
    assert first["variance"] == pytest.approx(values.var(dtype=float))
    assert first["total"] == pytest.approx(values.sum(dtype=float))
    p = values.astype(float) / values.sum(dtype=float)
    assert first["entropy"] == pytest.approx(-(p * np.log(p)).sum())
    assert by_path["surface_temperature/c.hdf5#2"]["entropy"] is None
    assert catalog.read(root) == entries(root)
    assert verify(root) == []


def test_a_copy_of_the_folder_verifies_too(root: Path, tmp_path: Path) -> None:
    catalog.write(root, entries(root))
    shutil.copytree(root, tmp_path / "elsewhere" / "copy")
    assert verify(tmp_path / "elsewhere" / "copy") == []
    assert str(tmp_path) not in (root / "catalog.json").read_text()


@pytest.mark.parametrize("at", [0, 20, 127, 128, 500, -1])
def test_any_flipped_byte_of_a_map_is_named(root: Path, at: int) -> None:
    catalog.write(root, entries(root))
    path = root / "fluid_dynamics" / "a" / "0001.npy"
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    ((kind, uri),) = verify(root)
    assert kind in ("changed", "damaged")
    assert uri == "fluid_dynamics/a/0001.npy"


def test_a_flipped_byte_of_a_whole_sequence_names_the_frame(root: Path) -> None:
    catalog.write(root, entries(root))
    path = root / "surface_temperature" / "c.hdf5"
    with h5py.File(path, locking=False) as file:
        offset = file["surface_temperature/c/energy"].id.get_chunk_info_by_coord((2, 0, 0, 0)).byte_offset
    content = bytearray(path.read_bytes())
    content[offset + 40] ^= 1
    path.write_bytes(content)
    assert verify(root) == [("changed", "surface_temperature/c.hdf5#2")]
    path.write_bytes(content[:300])
    assert verify(root) == [("damaged", "surface_temperature/c.hdf5")]


def test_missing_changed_and_extra_maps_are_named(root: Path) -> None:
    catalog.write(root, entries(root))
    a, b = root / "fluid_dynamics" / "a", root / "fluid_dynamics" / "b"
    for suffix in (".npy", ".json"):
        (a / "0002").with_suffix(suffix).unlink()
    energy, metadata = maps("fluid_dynamics", "b", 5)
    atlas = EnergyAtlasLoader(root)
    # one map saved again with other values, one new, one file that is no map, one map without its file
    for step in (0, 3):
        atlas.folder.write_npy(energy[step, ..., None], metadata[step])
    (b / "notes.txt").write_text("mine")
    (a / "0000.npy").unlink()
    assert verify(root) == [
        ("missing", "fluid_dynamics/a/0000.npy"),
        ("missing", "fluid_dynamics/a/0002.npy"),
        ("changed", "fluid_dynamics/b/0000.npy"),
        ("extra", "fluid_dynamics/b/0003.npy"),
        ("extra", "fluid_dynamics/b/notes.txt"),
    ]


def test_sweeping_removes_what_can_be_computed_again_only(root: Path) -> None:
    before = entries(root)
    gone, kept = root / "fluid_dynamics" / "gone" / ".cache", root / "fluid_dynamics" / "a" / ".cache"
    for cache in (gone, kept):
        cache.mkdir(parents=True)
        (cache / "pyramid.npy").write_bytes(b"x")
    assert catalog.sweep(root) == ["fluid_dynamics/gone/.cache"]
    assert (kept / "pyramid.npy").exists()
    assert entries(root) == before


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "other"}', '{"format": "fieldgraph catalog 1"}'])
def test_a_catalog_that_is_none_is_one_line(root: Path, content: str) -> None:
    (root / "catalog.json").write_text(content)
    with pytest.raises(FieldError, match=r"cannot read .*catalog\.json") as caught:
        catalog.read(root)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="expected a folder"):
        list(catalog.scan(tmp_path / "nowhere"))
    with pytest.raises(FieldError, match="expected a catalog"):
        catalog.read(tmp_path)
