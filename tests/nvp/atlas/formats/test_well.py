"""The Well's HDF5: axes turned with their components, absent axes put back, boundaries per axis; what it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nvp.atlas.checks import check_boundaries
from nvp.atlas.formats.importers import Wanted, read_file, trajectories
from nvp.dynamics.domain import DomainSpec
from nvp.errors import FieldError

B, T, W, H = 2, 4, 6, 5
RNG = np.random.default_rng(0)
DENSITY = RNG.random((B, T, W, H)).astype(np.float32)
VELOCITY = RNG.normal(size=(B, T, W, H, 2)).astype(np.float32)
STRESS = RNG.normal(size=(B, T, W, H, 2, 2)).astype(np.float32)
DX, DY = 0.5, 0.25


def edges(size: int) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[[0, -1]] = True
    return mask


def well(path: Path, dims: tuple[str, str] = ("x", "y")) -> Path:
    """A file as The Well lays it out, by hand: periodic along x, open along y."""
    sizes = {"x": W, "y": H}
    with h5py.File(path, "w") as file:
        file.attrs.update(n_trajectories=B, n_spatial_dims=2, grid_type="cartesian", dataset_name="storm", alpha=0.1)
        file.attrs["simulation_parameters"] = ["alpha"]
        grid = file.create_group("dimensions")
        grid.attrs["spatial_dims"] = list(dims)
        grid["time"] = np.arange(T, dtype=np.float32) * np.float32(1.597)
        grid["x"], grid["y"] = np.arange(W, dtype=np.float32) * DX, 3 + np.arange(H, dtype=np.float32) * DY
        for name in ("time", "x", "y"):
            grid[name].attrs.update(sample_varying=False, time_varying=False)
        edge = file.create_group("boundary_conditions")
        for dim, kind in (("x", "PERIODIC"), ("y", "open")):
            item = edge.create_group(f"{dim}_{kind}")
            item.attrs.update(associated_dims=[dim], bc_type=kind, sample_varying=False, time_varying=False)
            item["mask"] = edges(sizes[dim])
        scalars = file.create_group("scalars")
        scalars["alpha"], scalars["seed"] = np.float32([0.1]), np.float32([3, 4])
        scalars["forcing"] = np.arange(B * T, dtype=np.float32).reshape(B, T)
        scalars["alpha"].attrs.update(sample_varying=False, time_varying=False)
        scalars["seed"].attrs.update(sample_varying=True, time_varying=False)
        scalars["forcing"].attrs.update(sample_varying=True, time_varying=True)
        scalars.attrs["field_names"] = ["alpha", "seed", "forcing"]
        turned = dims != ("x", "y")
        for order, names in enumerate((("density",), ("velocity",), ("stress",))):
            group = file.create_group(f"t{order}_fields")
            group.attrs["field_names"] = list(names)
            for name in names:
                values = {"density": DENSITY, "velocity": VELOCITY, "stress": STRESS}[name]
                if turned:
                    values = np.flip(values.swapaxes(2, 3), axis=tuple(range(4, 4 + order)))
                group[name] = values
                group[name].attrs.update(dim_varying=[True, True], sample_varying=True, time_varying=True)
    return path


@pytest.mark.parametrize("dims", [("x", "y"), ("y", "x")])
@pytest.mark.parametrize("n", range(B))
def test_a_trajectory(tmp_path: Path, dims: tuple[str, str], n: int) -> None:
    path = well(tmp_path / "storm.hdf5", dims)
    assert trajectories(path) == B
    found = read_file(path, wanted=Wanted(variable="density", trajectory=n))
    # (x, y) → (y, x): row is y, column is x
    np.testing.assert_array_equal(found.values[..., 0], DENSITY[n].transpose(0, 2, 1))
    # components stay in the order x, y, in cells per unit time
    for c, spacing in enumerate((DX, DY)):
        expected = (VELOCITY[n, ..., c].transpose(0, 2, 1).astype(float) / spacing).astype(np.float32)
        np.testing.assert_array_equal(found.context["velocity"][..., c], expected)
    assert found.boundaries == ("periodic", "open")
    assert found.parameters == {"alpha": pytest.approx(0.1), "seed": 3.0 + n}
    # what varies in time only is uniform in space
    np.testing.assert_array_equal(found.context["forcing"][:, 2, 3, 0], np.arange(T) + n * T)
    assert found.time.dt == pytest.approx(1.597, rel=1e-6)
    (series,) = found.series(domain="storm")
    assert series.energy.shape == (T, H, W, 1)


@pytest.mark.parametrize("dims", [("x", "y"), ("y", "x")])
def test_components_by_the_wells_own_names(tmp_path: Path, dims: tuple[str, str]) -> None:
    path = well(tmp_path / "storm.hdf5", dims)
    for name, expected in {
        "velocity_x": VELOCITY[1, ..., 0],
        "velocity_y": VELOCITY[1, ..., 1],
        "stress_xy": STRESS[1, ..., 0, 1],
        "stress_yx": STRESS[1, ..., 1, 0],
    }.items():
        found = read_file(path, wanted=Wanted(variable=name, trajectory=1))
        np.testing.assert_array_equal(found.values[..., 0], expected.transpose(0, 2, 1))
    whole = read_file(path, wanted=Wanted(variable="stress", trajectory=1))
    np.testing.assert_array_equal(whole.values, STRESS[1].transpose(0, 2, 1, 3, 4).reshape(T, H, W, 4))


def test_an_energy_of_its_components(tmp_path: Path) -> None:
    recipe = "kinetic = 0.5*density*(velocity_x**2 + velocity_y**2)"
    path = well(tmp_path / "storm.hdf5")
    found = read_file(path, wanted=Wanted(energy=recipe, trajectory=0))
    expected = 0.5 * DENSITY[0] * (VELOCITY[0].astype(float) ** 2).sum(axis=-1)
    np.testing.assert_allclose(found.values[..., 0], expected.transpose(0, 2, 1), rtol=1e-6)
    assert found.variable == "kinetic"
    assert "velocity" in found.context


@pytest.mark.parametrize("kept", [False, True], ids=["dropped", "length 1"])
@pytest.mark.parametrize(
    ("varies", "sampled", "timed"),
    [
        ((True, False), True, True),
        ((False, True), True, True),
        ((True, True), False, True),
        ((True, True), True, False),
        ((False, False), False, False),
    ],
)
def test_axes_along_which_nothing_varies(
    tmp_path: Path, varies: tuple[bool, bool], sampled: bool, timed: bool, kept: bool
) -> None:
    path = well(tmp_path / "storm.hdf5")
    index = tuple(slice(None) if use else 0 for use in (sampled, timed, *varies))
    with_ones = tuple(slice(None) if use else slice(0, 1) for use in varies)
    values, components = DENSITY[index], VELOCITY[index]
    if kept:
        values, components = DENSITY[index[:2]][(..., *with_ones)], VELOCITY[index[:2]][(..., *with_ones, slice(None))]
    with h5py.File(path, "r+") as file:
        for group, name, array in (("t0_fields", "density", values), ("t1_fields", "velocity", components)):
            del file[group][name]
            file[group][name] = array
            file[group][name].attrs.update(dim_varying=list(varies), sample_varying=sampled, time_varying=timed)
    full = tuple(slice(None) if use else slice(0, 1) for use in (sampled, timed, *varies))
    density = np.broadcast_to(DENSITY[full], DENSITY.shape)[1]
    velocity = np.broadcast_to(VELOCITY[full], VELOCITY.shape)[1]
    found = read_file(path, wanted=Wanted(variable="density", trajectory=1))
    np.testing.assert_array_equal(found.values[..., 0], density.transpose(0, 2, 1))
    v = read_file(path, wanted=Wanted(variable="velocity_y", trajectory=1))
    np.testing.assert_array_equal(v.values[..., 0], velocity[..., 1].transpose(0, 2, 1))


def test_grids_and_times_of_each_trajectory(tmp_path: Path) -> None:
    path = well(tmp_path / "storm.hdf5")
    with h5py.File(path, "r+") as file:
        grid = file["dimensions"]
        for name, steps in (("time", (2.0, 3.0)), ("x", (0.5, 2.0))):
            size = grid[name].size
            del grid[name]
            grid[name] = np.arange(size) * np.array(steps)[:, None]
            grid[name].attrs.update(sample_varying=True, time_varying=False)
    found = read_file(path, wanted=Wanted(variable="density", trajectory=1))
    assert (found.time.dt, found.spacing.dx if found.spacing else None) == (3.0, 2.0)


def test_boundaries_that_are_no_whole_edge(tmp_path: Path) -> None:
    path = well(tmp_path / "storm.hdf5")
    with h5py.File(path, "r+") as file:
        edge = file["boundary_conditions"]
        del edge["y_open"]
        item = edge.create_group("floor")
        item.attrs.update(associated_dims="y", bc_type="WALL")
        item["mask"] = np.arange(H) == 0
        # in both dimensions: a wall counts where all of the edge is one
        item = edge.create_group("block")
        item.attrs.update(associated_dims=["x", "y"], bc_type="wall")
        item["mask"] = (np.arange(W)[:, None] < 2) & (np.arange(H) == H - 1)
    assert read_file(path, wanted=Wanted(variable="density", trajectory=0)).boundaries == ("periodic", "wall/open")


def test_a_sphere_has_no_cells_per_unit_time(tmp_path: Path) -> None:
    path = well(tmp_path / "storm.hdf5")
    with h5py.File(path, "r+") as file:
        file.attrs["grid_type"] = "spherical"
    assert "velocity" not in read_file(path, wanted=Wanted(variable="density", trajectory=0)).context


@pytest.mark.parametrize(("x", "y", "fits"), [("periodic", "open", True), ("open", "periodic", False)])
def test_boundaries_are_the_domains(tmp_path: Path, x: Any, y: Any, fits: bool) -> None:
    domain = DomainSpec(
        name="storm", title="Storm", closed=False, second_law=False, boundary_x=x, boundary_y=y, units="1",
        dx=1.0, dy=1.0, dt=1.0,
    )  # fmt: skip
    found = read_file(well(tmp_path / "storm.hdf5"), wanted=Wanted(variable="density", trajectory=0))
    if fits:
        check_boundaries(found, domain)
        return
    with pytest.raises(FieldError, match=r"open along x and periodic along y.*got periodic and open.*--any-boundaries"):
        check_boundaries(found, domain)


def cut(file: h5py.File) -> None:
    values = file["t0_fields/density"][..., :-1]
    del file["t0_fields/density"]
    file["t0_fields/density"] = values


def set_attribute(path: str, **attributes: Any) -> Callable[[h5py.File], None]:
    return lambda file: file[path].attrs.update(attributes)


def replaced(path: str, values: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        attributes = dict(file[path].attrs)
        del file[path]
        file[path] = values
        file[path].attrs.update(attributes)

    return change


def removed(path: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[path]

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (cut, "t0_fields/density of shape"),
        (set_attribute("t0_fields/density", time_varying=False), "t0_fields/density of shape"),
        (set_attribute("t0_fields/density", dim_varying=[True]), "t0_fields/density of shape"),
        (set_attribute("t0_fields", field_names=["density", "ghost"]), "t0_fields/ghost"),
        (set_attribute("scalars", field_names=["ghost"]), "scalars/ghost"),
        (set_attribute("/", n_trajectories=0), "n_trajectories"),
        (set_attribute("/", n_trajectories="many"), "n_trajectories"),
        (set_attribute("/", n_trajectories=1.5), "n_trajectories"),
        (set_attribute("/", n_spatial_dims=3), "two spatial dimensions"),
        (set_attribute("dimensions", spatial_dims=["x", "y", "z"]), "two spatial dimensions"),
        (set_attribute("boundary_conditions/y_open", bc_type="magic"), "periodic, wall or open"),
        (set_attribute("boundary_conditions/y_open", associated_dims=["z"]), "a boundary along"),
        (replaced("boundary_conditions/y_open/mask", np.ones((3, 3, 3), bool)), "a boundary along"),
        (replaced("scalars/alpha", np.float32([1, 2])), "'alpha' as one finite number"),
        (replaced("scalars/alpha", np.float32([np.nan])), "'alpha' as one finite number"),
        (replaced("scalars/forcing", np.zeros((B, T + 1))), "'forcing' with 4 values"),
        (replaced("dimensions/x", np.arange(W) ** 2.0), "uniform coordinates along 'x'"),
        (replaced("dimensions/time", np.array([0, 1, 2.3, 3.3])), "uniform step"),
        (replaced("dimensions/time", np.zeros((2, T))), "times on one axis"),
        (removed("dimensions/time"), "dimensions/time"),
        (removed("dimensions/y"), "dimensions/y"),
        (set_attribute("dimensions/y", time_varying=True), "do not change in time"),
    ],
)
def test_files_that_are_not_right(tmp_path: Path, change: Callable[[h5py.File], None], said: str) -> None:
    path = well(tmp_path / "storm.hdf5")
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(FieldError, match=said) as caught:
        read_file(path, wanted=Wanted(variable="density", trajectory=0))
    assert "storm.hdf5" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_which_trajectory_and_which_variable(tmp_path: Path) -> None:
    path = well(tmp_path / "storm.hdf5")
    for n in (None, -1, B):
        with pytest.raises(FieldError, match=r"trajectories 0 … 1 of storm\.hdf5.*--trajectory"):
            read_file(path, wanted=Wanted(variable="density", trajectory=n))
    with pytest.raises(FieldError, match=r"density, stress, stress_xx.*velocity_y.*got 'energy'"):
        read_file(path, wanted=Wanted(variable="energy", trajectory=0))
    # the only scalar field needs no name
    assert read_file(path, wanted=Wanted(trajectory=0)).variable == "density"
