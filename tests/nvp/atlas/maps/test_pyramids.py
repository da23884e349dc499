"""Pyramids keep the total and the sign; what the cubic spline breaks is reported before it is put right."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from nvp.atlas.maps.errors import BadData, BadScale
from nvp.atlas.maps.folder import Folder
from nvp.atlas.maps.gradients import Geometry
from nvp.atlas.maps.loader import EnergyAtlasLoader
from nvp.atlas.maps.pyramids import Kind, area_mean, level
from nvp.atlas.maps.shapes import halves

PERIODIC = Geometry(dx=0.5, dy=2.0, boundary_x="periodic", boundary_y="periodic")


def spiky(height: int = 256, width: int = 256) -> np.ndarray:
    """Mean about 1, nearly all of it in few cells."""
    rng = np.random.default_rng(0)
    return rng.exponential(1.0, (height, width)) ** 6 / 720


def one_hot(height: int = 256, width: int = 256) -> np.ndarray:
    energy = np.zeros((height, width))
    energy[height // 3, width // 5] = 1.0
    return energy


def smooth(height: int = 256, width: int = 256) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return 1 + 0.5 * np.sin(2 * np.pi * x / width) * np.cos(4 * np.pi * y / height)


MAPS = {"spiky": spiky(), "one-hot": one_hot(), "wide": spiky(128, 384), "smooth": smooth(), "empty": smooth() * 0}


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("kind", ["area", "cubic"])
def test_totals_are_kept_and_no_cell_is_negative(name: str, kind: Kind) -> None:
    energy = MAPS[name]
    total = energy.sum() * PERIODIC.dx * PERIODIC.dy
    for grid in ((64, 64), (128, 128), (96, 40)):
        found = level(energy, grid, PERIODIC, kind=kind)
        assert found.energy.shape == grid
        assert found.total == pytest.approx(total, rel=1e-12)
        assert found.energy.min() >= 0


def test_the_area_mean_needs_no_rescaling() -> None:
    for energy in (spiky(), one_hot(), spiky(128, 384)):
        defect = level(energy, (64, 64), PERIODIC).defect
        assert defect.total < 1e-12
        assert defect.negative_cells == 0


def test_what_the_cubic_spline_breaks_is_reported() -> None:
    found = level(spiky(), (64, 64), PERIODIC, kind="cubic")
    # of 4096 cells; the levels above hide both
    assert found.defect.negative_cells > 400
    assert found.defect.minimum < -1
    assert found.defect.total > 1e-3
    assert level(smooth(), (64, 64), PERIODIC, kind="cubic").defect.total < 1e-6


def test_the_area_mean_is_that_of_each_cells_own_area() -> None:
    energy = spiky(16, 24)
    np.testing.assert_allclose(area_mean(energy, (8, 8)), energy.reshape(8, 2, 8, 3).mean((1, 3)), rtol=1e-13)
    # three new cells over four old ones: the second covers half of each of its two neighbours... in thirds
    row = np.repeat([[1.0, 2.0, 3.0, 4.0]], 2, axis=0)
    np.testing.assert_allclose(area_mean(row, (2, 3)), np.repeat([[1.25, 2.5, 3.75]], 2, axis=0), rtol=1e-12)
    batch = spiky(48, 16).reshape(3, 16, 16)
    np.testing.assert_array_equal(area_mean(batch, (8, 8))[1], area_mean(batch[1], (8, 8)))


@settings(max_examples=30, deadline=None)
@given(
    sides=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    seed=st.integers(0, 99),
)
def test_any_grid_keeps_the_mean_and_the_range(sides: tuple[int, int], shares: tuple[float, float], seed: int) -> None:
    shape = (8 * sides[0], 8 * sides[1])
    grid = (8 * max(1, round(sides[0] * shares[0])), 8 * max(1, round(sides[1] * shares[1])))
    energy = np.random.default_rng(seed).exponential(1.0, shape)
    mean = area_mean(energy, grid)
    assert mean.mean() == pytest.approx(energy.mean(), rel=1e-12)
    assert energy.min() - 1e-12 <= mean.min() <= mean.max() <= energy.max() + 1e-9


def test_shape_survives_across_scales() -> None:
    """A blob stays where it is and as wide as it is, whatever the grid: a shifted or transposed level would not."""
    y, x = np.mgrid[0:128, 0:384] + 0.5
    blob = np.exp(-((x - 100) ** 2 + 4 * (y - 80) ** 2) / 800)
    found: list[tuple[float, float, float]] = []
    for kind in ("area", "cubic"):
        for grid in ((128, 384), (64, 192), (32, 96)):
            one = level(blob, grid, Geometry(), kind=kind).energy
            ys, xs = (np.arange(grid[0]) + 0.5) * 128 / grid[0], (np.arange(grid[1]) + 0.5) * 384 / grid[1]
            share = one / one.sum()
            cx, cy = (share.sum(0) * xs).sum(), (share.sum(1) * ys).sum()
            found.append((cx, cy, np.sqrt((share.sum(0) * (xs - cx) ** 2).sum())))
    np.testing.assert_allclose(found, np.repeat([found[0]], 6, axis=0), rtol=0.02)
    np.testing.assert_allclose(found[0], (100, 80, 20), rtol=0.01)


def test_signed_fields_keep_their_sum_and_their_sign() -> None:
    field = smooth() - 1.0
    found = level(field, (64, 64), PERIODIC, kind="cubic", signed=True)
    assert found.energy.min() < -0.4
    assert found.energy.mean() == pytest.approx(field.mean(), abs=1e-15)
    assert found.defect.negative_cells == 0


def test_halves_go_down_to_64() -> None:
    assert halves((256, 256)) == [256, 128, 64]
    assert halves((128, 384)) == [128, 64]
    assert halves((64, 64)) == [64]
    assert halves((16, 16)) == [16]
    assert halves((136, 136)) == [136]


# -- by the loader, beside the data -------------------------------------------------------------------------------


@pytest.fixture
def atlas(tmp_path: Path) -> EnergyAtlasLoader:
    return EnergyAtlasLoader(tmp_path, "fluid_dynamics")


def test_levels_of_an_array_need_no_files(atlas: EnergyAtlasLoader, tmp_path: Path) -> None:
    levels = atlas.precompute_pyramids(spiky(), [256, 128, 64])
    assert {scale: one.energy.shape for scale, one in levels.items()} == {s: (s, s) for s in (256, 128, 64)}
    assert [one.geometry.dx for one in levels.values()] == [1, 2, 4]
    assert levels[64].gradient.shape == (64, 64, 2)
    np.testing.assert_allclose(levels[64].magnitude, np.linalg.norm(levels[64].gradient, axis=-1))
    assert list(atlas.precompute_pyramids(spiky(128, 384))) == [128, 64]
    assert atlas.precompute_pyramids(spiky(128, 384))[64].energy.shape == (64, 192)
    assert not list(tmp_path.iterdir())
    with pytest.raises(BadScale):
        atlas.precompute_pyramids(smooth(64, 64), [128])
    with pytest.raises(BadData):
        atlas.precompute_pyramids(smooth() - 5)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Grids of the levels that were computed, not read."""
    grids: list[tuple[int, int]] = []

    def counted(energy: np.ndarray, grid: tuple[int, int], *args: object, **options: object) -> object:
        grids.append(grid)
        return level(energy, grid, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("nvp.atlas.maps.cache.level", counted)
    return grids


@pytest.mark.parametrize("format", ["npy", "hdf5"])
def test_levels_of_a_map_are_kept_beside_it(
    atlas: EnergyAtlasLoader, computed: list[tuple[int, int]], format: str
) -> None:
    atlas.save_map(spiky(), None, "run/3", format=format)  # type: ignore[arg-type]
    first = atlas.precompute_pyramids("run/3", [128, 64])
    assert computed == [(128, 128), (64, 64)]
    again = EnergyAtlasLoader(atlas.folder.root, "fluid_dynamics").precompute_pyramids("run/3", [64, 128])
    assert len(computed) == 2
    for scale, one in first.items():
        np.testing.assert_array_equal(again[scale].energy, one.energy)
        np.testing.assert_array_equal(again[scale].gradient, one.gradient)
        assert (again[scale].geometry, again[scale].defect) == (one.geometry, one.defect)
    cache = atlas.folder.cache("fluid_dynamics", "run")
    assert {path.name for path in cache.iterdir()} == {"0003.area.128x128.npz", "0003.area.64x64.npz"}
    # neither the cache nor its folder is data
    assert atlas.folder.sequences("fluid_dynamics") == ["run"]
    assert atlas.get_domain_stats()["count"] == 1
    atlas.precompute_pyramids("run/3", [64], kind="cubic")
    assert len(computed) == 3


def test_a_stale_or_broken_cache_is_made_again(
    atlas: EnergyAtlasLoader, computed: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    atlas.save_map(spiky(), None, "run/0")
    atlas.precompute_pyramids("run/0", [64])
    atlas.save_map(smooth(), None, "run/0")
    found = atlas.precompute_pyramids("run/0", [64])[64]
    np.testing.assert_allclose(found.energy, area_mean(smooth().astype(np.float32), (64, 64)))
    assert len(computed) == 2
    path = atlas.folder.cache("fluid_dynamics", "run") / "0000.area.64x64.npz"
    for content in (b"", b"rubbish", path.read_bytes()[:-100]):
        path.write_bytes(content)
        again = atlas.precompute_pyramids("run/0", [64])[64]
        np.testing.assert_array_equal(again.energy, found.energy)
    assert len(computed) == 5
    monkeypatch.setattr("nvp.atlas.maps.cache.VERSION", "fieldgraph level 0")
    atlas.precompute_pyramids("run/0", [64])
    assert len(computed) == 6


def test_a_map_changed_behind_its_sidecar_is_not_hidden_by_the_cache(atlas: EnergyAtlasLoader) -> None:
    atlas.save_map(spiky(), None, "run/0")
    atlas.precompute_pyramids("run/0", [64])
    np.save(Folder(atlas.folder.root).npy("fluid_dynamics", "run", 0), smooth().astype(np.float32)[..., None])
    with pytest.raises(BadData, match=r"0000\.npy"):
        atlas.precompute_pyramids("run/0", [64])


# -- entropy across scales and under blur -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["spiky", "one-hot", "wide", "smooth"])
def test_coarser_levels_lose_no_more_entropy_than_their_cells_can_hold(atlas: EnergyAtlasLoader, name: str) -> None:
    """S(coarse) ≤ S(fine) ≤ S(coarse) + ln(cells per cell): the chain rule of entropy, whatever the field."""
    fine = MAPS[name]
    for factor in (2, 4):
        mean = area_mean(fine, (fine.shape[0] // factor, fine.shape[1] // factor))
        coarse, whole = atlas.compute_entropy(mean), atlas.compute_entropy(fine)
        assert coarse <= whole + 1e-12
        assert whole <= coarse + np.log(factor**2) + 1e-12


def test_blur_raises_entropy_step_by_step(atlas: EnergyAtlasLoader) -> None:
    energy = spiky(64, 64)
    entropies = [
        atlas.compute_entropy(energy if sigma == 0 else gaussian_filter(energy, sigma, mode="wrap"))
        for sigma in (0, 0.5, 1, 2, 4, 8)
    ]
    assert all(later > earlier + 1e-3 for earlier, later in pairwise(entropies))
    assert entropies[-1] < np.log(64 * 64)
