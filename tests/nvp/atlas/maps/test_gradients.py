"""Gradients have the right slope along the right axis, at every scale and at every kind of edge."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nvp.atlas.maps.gradients import Geometry, gradient, magnitude
from nvp.atlas.maps.loader import EnergyAtlasLoader
from nvp.atlas.maps.pyramids import level
from nvp.dynamics.domain import Boundary


def cells(side: int, length: float = 1.0) -> np.ndarray:
    """Centres of `side` cells."""
    return (np.arange(side) + 0.5) * length / side


def ramp(height: int, width: int, geometry: Geometry) -> np.ndarray:
    """3x + 5y on a grid of axes (y, x)."""
    x, y = cells(width, width * geometry.dx), cells(height, height * geometry.dy)
    return 3 * x[None, :] + 5 * y[:, None]


@pytest.mark.parametrize("boundary", ["wall", "open"])
def test_a_ramp_has_its_slope_everywhere_and_x_is_the_last_axis(boundary: Boundary) -> None:
    geometry = Geometry(dx=0.5, dy=0.25, boundary_x=boundary, boundary_y=boundary)
    found = gradient(ramp(16, 24, geometry), geometry)
    assert found.shape == (16, 24, 2)
    np.testing.assert_allclose(found[..., 0], 3, rtol=1e-12)
    np.testing.assert_allclose(found[..., 1], 5, rtol=1e-12)
    np.testing.assert_allclose(magnitude(found), np.sqrt(34), rtol=1e-12)


@pytest.mark.parametrize("grid", [(256, 256), (128, 128), (64, 64), (64, 128)])
def test_the_same_slope_at_every_scale(grid: tuple[int, int]) -> None:
    geometry = Geometry(dx=1 / 256, dy=1 / 256)
    found = level(ramp(256, 256, geometry), grid, geometry).gradient
    np.testing.assert_allclose(found[..., 0], 3, rtol=1e-9)
    np.testing.assert_allclose(found[..., 1], 5, rtol=1e-9)


@pytest.mark.parametrize("boundary", ["periodic", "wall", "open"])
def test_second_order_up_to_the_edges(boundary: Boundary) -> None:
    errors = []
    for side in (32, 64, 128):
        geometry = Geometry(dx=1 / side, dy=1 / side, boundary_x=boundary, boundary_y=boundary)
        x, y = np.meshgrid(cells(side), cells(side))
        found = gradient(np.sin(2 * np.pi * x) * np.cos(4 * np.pi * y), geometry)
        exact = (
            2 * np.pi * np.cos(2 * np.pi * x) * np.cos(4 * np.pi * y),
            -4 * np.pi * np.sin(2 * np.pi * x) * np.sin(4 * np.pi * y),
        )
        errors.append(max(np.abs(found[..., k] - exact[k]).max() for k in (0, 1)))
    assert all(coarse / fine > 3.5 for coarse, fine in pairwise(errors))


def test_each_axis_has_its_own_boundary() -> None:
    energy = np.random.default_rng(0).random((8, 16))
    mixed = gradient(energy, Geometry(boundary_x="periodic", boundary_y="open"))
    wrapped = (np.roll(energy, -1, 1) - np.roll(energy, 1, 1)) / 2
    np.testing.assert_allclose(mixed[..., 0], wrapped, atol=1e-12)
    np.testing.assert_allclose(mixed[..., 1], np.gradient(energy, axis=0, edge_order=2), atol=1e-12)


def test_the_atlas_takes_spacing_and_boundary_from_the_domain(tmp_path: Path) -> None:
    energy = np.random.default_rng(0).random((8, 16))
    periodic = EnergyAtlasLoader(tmp_path, "fluid_dynamics").compute_gradients(energy)
    np.testing.assert_allclose(periodic[0][:, 0], (energy[:, 1] - energy[:, -1]) / 2)
    bare = EnergyAtlasLoader(tmp_path).compute_gradients(energy)
    # the seeds' names are those of numpy's order: what they call x is our y
    seeds_x, seeds_y = np.gradient(energy, edge_order=2)
    np.testing.assert_allclose(bare[1], seeds_x)
    np.testing.assert_allclose(bare[0], seeds_y)
    assert not np.allclose(bare[0], seeds_x)
