"""The Well's side: its reader opens our file, its metrics give the golden values.

    python bench/well/make_golden.py FOLDER tests/data/well          (the environment of requirements.lock)

FOLDER holds the file that make_ours.py wrote. Four files come to be:

    golden.hdf5     a file of The Well's layout, written by the_well.utils.dummy_data
    golden.json     what WellDataset reads in it
    ours.json       what WellDataset reads in our file, and that file's tree
    metrics.npz     fields in float32 and float64, and the_well.benchmark.metrics of them

Nothing here knows fieldgraph: both sides meet in files.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from the_well.benchmark import metrics
from the_well.data.datasets import WellDataset, WellMetadata
from the_well.utils.dummy_data import write_dummy_data

SEED = 20_241_201


def digest(values: torch.Tensor) -> str:
    """sha256 of the numbers, float32 in C order."""
    return hashlib.sha256(np.ascontiguousarray(values.numpy(), dtype="<f4").tobytes()).hexdigest()


def read(folder: Path) -> dict[str, Any]:
    """All that WellDataset says of the files in a folder."""
    dataset = WellDataset(path=str(folder), n_steps_input=1, n_steps_output=1, normalize_time_grid=False)
    said = dict(vars(dataset.metadata))
    # from a set, whose order is chance
    said["boundary_condition_types"] = sorted(said["boundary_condition_types"])
    for name in ("field_names", "constant_field_names"):
        said[name] = {str(order): names for order, names in said[name].items()}
    items = []
    for index in range(len(dataset)):
        item = dataset[index]
        items.append(
            {
                "digests": {
                    name: digest(item[name])
                    for name in ("input_fields", "output_fields", "constant_fields")
                    if name in item
                },
                "scalars": {
                    name: item[name].double().flatten().tolist()
                    for name in ("input_scalars", "constant_scalars")
                    if name in item
                },
                "time": item["input_time_grid"].double().tolist(),
                "boundaries": item["boundary_conditions"].tolist(),
                "shapes": {name: list(value.shape) for name, value in item.items()},
                "grid": digest(item["space_grid"]),
            }
        )
    return {"metadata": said, "items": items}


def tree(path: Path) -> dict[str, Any]:
    """Names, shapes, types and attributes of all that is in a file, but for the group of its writer."""
    found: dict[str, Any] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if name.partition("/")[0] == "fieldgraph":
            return
        attributes = {key: np.asarray(value).tolist() for key, value in sorted(item.attrs.items())}
        data = {"shape": list(item.shape), "dtype": item.dtype.str} if isinstance(item, h5py.Dataset) else {}
        found[name] = {**data, "attributes": attributes}

    with h5py.File(path, "r") as file:
        visit("/", file)
        file.visititems(visit)
    return found


def fields() -> tuple[np.ndarray, np.ndarray]:
    """Predictions and truths (batch, time, x, y, channel): smooth, rough, on a large mean, nearly uniform, uniform."""
    generator = np.random.default_rng(SEED)
    shape = (2, 3, 16, 24)
    i, j = np.meshgrid(np.arange(16) / 16, np.arange(24) / 24, indexing="ij")
    phase = generator.random((2, 3, 1, 1)) * 2 * np.pi
    smooth = np.sin(2 * np.pi * i + phase) + np.cos(4 * np.pi * j - phase)
    truth = [
        smooth,
        generator.normal(size=shape),
        smooth + 10,
        3e-3 * generator.normal(size=shape),
        np.full(shape, 0.25),
    ]
    error = generator.normal(size=(*shape, 5)) * np.array([0.1, 0.5, 0.2, 1e-3, 1e-4])
    y = np.stack(truth, axis=-1)
    return y + error, y


def scores(x: np.ndarray, y: np.ndarray, meta: WellMetadata) -> dict[str, np.ndarray]:
    """Each metric of the suite, under its name there."""
    found = {
        name: getattr(metrics, name)()(x, y, meta).numpy()
        for name in ("RMSE", "NRMSE", "VRMSE", "LInfinity", "PearsonR")
    }
    bands = metrics.binned_spectral_mse()(torch.from_numpy(x), torch.from_numpy(y), meta)
    return found | {name: values.numpy() for name, values in bands.items()}


def main(ours: Path, out: Path) -> None:
    """Write the four files."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "golden.hdf5"
        np.random.seed(SEED)  # the_well draws from the global generator
        write_dummy_data(str(path))
        golden = read(Path(folder))
        (out / "golden.hdf5").write_bytes(path.read_bytes())
    (out / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
    (file,) = ours.glob("*.hdf5")
    (out / "ours.json").write_text(json.dumps({**read(ours), "tree": tree(file)}, indent=1) + "\n")
    dataset = WellDataset(path=str(ours), n_steps_input=1, n_steps_output=1)
    x, y = fields()
    arrays = {"x": x, "y": y}
    for kind in ("float32", "float64"):
        for name, values in scores(x.astype(kind), y.astype(kind), dataset.metadata).items():
            arrays[f"{kind}/{name}"] = values
    np.savez_compressed(out / "metrics.npz", **arrays)
    for file in sorted(out.iterdir()):
        print(f"{file.name:14}{file.stat().st_size:8} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
