"""Our reader and writer beside The Well's own: golden files made by `bench/well/make_golden.py` with its package."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

from nvp.atlas.formats.export import export
from nvp.atlas.formats.importers import Wanted, read_file, trajectories

ROOT = Path(__file__).parents[4]
GOLDEN = ROOT / "tests" / "data" / "well"
CODES = {"wall": 0.0, "open": 1.0, "periodic": 2.0}


def loaded(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text())


def digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f4").tobytes()).hexdigest()


def turned(values: np.ndarray) -> np.ndarray:
    """(t, y, x, c) → (t, x, y, c)"""
    return values.transpose(0, 2, 1, 3)


@pytest.fixture(scope="module")
def ours() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_ours", ROOT / "bench" / "well" / "make_ours.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_golden_file_is_small() -> None:
    assert (GOLDEN / "golden.hdf5").stat().st_size <= 300_000


def test_we_read_what_their_reader_reads() -> None:
    said, path = loaded("golden.json"), GOLDEN / "golden.hdf5"
    meta, items = said["metadata"], said["items"]
    (B,), (T,) = meta["n_trajectories_per_file"], meta["n_steps_per_trajectory"]
    assert trajectories(path) == B
    assert len(items) == B * (T - 1)
    for n in range(B):
        parts = [
            read_file(path, wanted=Wanted(variable=name, trajectory=n))
            for names in meta["field_names"].values()
            for name in names
        ]
        (constant,) = (name for names in meta["constant_field_names"].values() for name in names)
        fields = turned(np.concatenate([part.values for part in parts], axis=-1))
        still = read_file(path, wanted=Wanted(variable=constant, trajectory=n))
        head = parts[0]
        for t, item in enumerate(items[n * (T - 1) : (n + 1) * (T - 1)]):
            assert digest(fields[t : t + 1]) == item["digests"]["input_fields"]
            assert digest(fields[t + 1 : t + 2]) == item["digests"]["output_fields"]
            assert digest(turned(still.values)[t]) == item["digests"]["constant_fields"]
            assert list(head.parameters.values()) == item["scalars"]["constant_scalars"]
            varying = [float(values[t, 0, 0, 0]) for values in head.context.values()]
            assert varying == pytest.approx(item["scalars"]["input_scalars"], rel=1e-7)
            # a step that float32 rounded is known to six digits
            assert t * head.time.dt == pytest.approx(item["time"][0], rel=1e-5)
            assert head.boundaries is not None
            assert [[CODES[kind]] * 2 for kind in head.boundaries] == item["boundaries"]


def test_their_reader_reads_what_we_wrote(ours: ModuleType) -> None:
    said, series = loaded("ours.json"), ours.sequences()
    meta, items = said["metadata"], said["items"]
    assert meta["field_names"] == {
        "0": ["energy", "source"],
        "1": ["velocity_x", "velocity_y"],
        "2": ["nematic_xx", "nematic_xy", "nematic_yx", "nematic_yy"],
    }
    assert (meta["n_spatial_dims"], meta["spatial_resolution"]) == (2, [ours.W, ours.H])
    assert (meta["grid_type"], meta["dataset_name"]) == ("cartesian", "storm")
    assert meta["constant_scalar_names"] == ["t_cool", "viscosity"]
    assert meta["scalar_names"] == ["source_total", "outflow_total"]
    assert len(items) == 2 * (ours.T - 1)
    for n, one in enumerate(series):
        context = one.context
        stacked = [one.energy, context["source"], context["velocity"], context["nematic"]]
        fields = turned(np.concatenate(stacked, axis=-1))
        for t, item in enumerate(items[n * (ours.T - 1) : (n + 1) * (ours.T - 1)]):
            assert item["digests"]["input_fields"] == digest(fields[t : t + 1])
            assert item["digests"]["output_fields"] == digest(fields[t + 1 : t + 2])
            assert item["scalars"]["constant_scalars"] == [0.5, 0.125 * (n + 1)]
            assert item["scalars"]["input_scalars"] == [t + n / 4, t / 8]
            assert item["time"] == pytest.approx([t * 1.597], rel=1e-6)
            # periodic along x, open along y
            assert item["boundaries"] == [[2.0, 2.0], [1.0, 1.0]]
            grid = np.stack(np.meshgrid(np.arange(ours.W), np.arange(ours.H), indexing="ij"), axis=-1)
            assert item["grid"] == digest(grid)


def tree(path: Path) -> dict[str, Any]:
    """Names, shapes, types and attributes, as make_golden.py took them down."""
    found: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        if name.partition("/")[0] != "fieldgraph":
            data = {"shape": list(item.shape), "dtype": item.dtype.str} if isinstance(item, h5py.Dataset) else {}
            attributes = {key: np.asarray(value).tolist() for key, value in sorted(item.attrs.items())}
            found[name] = {**data, "attributes": attributes}

    with h5py.File(path) as file:
        visit("/", file)
        file.visititems(visit)
    return found


def test_we_still_write_the_structure_that_their_reader_opened(ours: ModuleType, tmp_path: Path) -> None:
    export(tmp_path / "storm.hdf5", ours.sequences(), ours.STORM, "well")
    assert tree(tmp_path / "storm.hdf5") == loaded("ours.json")["tree"]


def test_our_structure_is_theirs(ours: ModuleType, tmp_path: Path) -> None:
    """Group by group, what The Well's own writer puts there is there."""
    export(tmp_path / "storm.hdf5", ours.sequences(), ours.STORM, "well")
    with h5py.File(tmp_path / "storm.hdf5") as mine, h5py.File(GOLDEN / "golden.hdf5") as theirs:
        assert set(theirs) <= set(mine)
        assert set(mine) - set(theirs) == {"fieldgraph"}
        # but for their parameters, which have names of their own
        assert set(theirs.attrs) - set(theirs.attrs["simulation_parameters"]) == set(mine.attrs) - {"t_cool"}
        for group in theirs:
            assert set(theirs[group].attrs) == set(mine[group].attrs)
        assert set(theirs["dimensions"]) == set(mine["dimensions"])
        for name in theirs["dimensions"]:
            assert mine["dimensions"][name].dtype == theirs["dimensions"][name].dtype
            assert set(theirs["dimensions"][name].attrs) <= set(mine["dimensions"][name].attrs)
        field, velocity = theirs["t1_fields/field"], mine["t1_fields/velocity"]
        assert (field.ndim, field.dtype, set(field.attrs)) == (velocity.ndim, velocity.dtype, set(velocity.attrs))
        for name in ("x", "y"):
            edge, wall = (next(v for k, v in f["boundary_conditions"].items() if k[0] == name) for f in (theirs, mine))
            assert set(edge.attrs) == set(wall.attrs)
            assert (edge["mask"].dtype, edge["mask"].ndim) == (wall["mask"].dtype, wall["mask"].ndim)
