"""Write APEBench's own data of a scenario, which `fieldgraph bench apebench --data FILE` takes instead of ours.

Run in the environment of `requirements.lock`: python make_data.py SEED FILE.npz
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import apebench
import numpy as np

SCENARIOS = ("diff_burgers", "phy_decay_turb")
# APEBench's own default of the rng seed of the test data; ours are counted from it
FIRST_TEST_SEED = 773


def main(seed: int, path: Path) -> None:
    """Train 20 × 51 and test 10 × 51 frames of 64² of each scenario, channels first as APEBench has them."""
    arrays = {}
    for name in SCENARIOS:
        scenario = apebench.scenarios.scenario_dict[name](
            num_spatial_dims=2,
            num_points=64,
            num_train_samples=20,
            train_temporal_horizon=50,
            train_seed=seed,
            num_test_samples=10,
            test_temporal_horizon=50,
            test_seed=FIRST_TEST_SEED + seed,
        )
        arrays[f"{name}/train"] = np.asarray(scenario.get_train_data())
        arrays[f"{name}/test"] = np.asarray(scenario.get_test_data())
    origin = f"apebench {version('apebench')}, exponax {version('exponax')}, seed {seed}"
    np.savez_compressed(path, origin=origin, **arrays)
    print(origin, {name: values.shape for name, values in arrays.items()})


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
